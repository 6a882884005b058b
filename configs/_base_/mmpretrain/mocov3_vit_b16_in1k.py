# mmpretrain's MoCo v3 recipe for a ViT-B/16 on ImageNet, made fit for mixssl.
_base_ = [
    'mmpretrain::mocov3/mocov3_vit-base-p16_16xb256-amp-coslr-300e_in1k.py',
    '../runtime.py',
]

train_dataloader = dict(collate_fn=dict(_delete_=True, type='default_collate'))

model = dict(type='mixssl.MixMoCoV3', backbone=dict(type='mixssl.MoCoV3ViT'))
data_preprocessor = dict(type='mixssl.InstanceMixDataPreprocessor')
