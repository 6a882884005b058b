# mmpretrain's MoCo v3 recipe for a ViT-S/16 on ImageNet, made fit for mixssl.
_base_ = [
    'mmpretrain::mocov3/mocov3_vit-small-p16_16xb256-amp-coslr-300e_in1k.py',
    '../runtime.py',
]

# Inheriting across packages writes `_scope_` into the collate function, which then refuses it at the first batch.
train_dataloader = dict(collate_fn=dict(_delete_=True, type='default_collate'))

# Ours writes the positions when it is built, and right for images that are not square.
model = dict(type='mixssl.MixMoCoV3', backbone=dict(type='mixssl.MoCoV3ViT'))
data_preprocessor = dict(type='mixssl.InstanceMixDataPreprocessor')
