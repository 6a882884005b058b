# mmpretrain's MoCo v2 recipe for ImageNet, made fit for mixssl: the one place where its collate function is mended.
_base_ = [
    'mmpretrain::mocov2/mocov2_resnet50_8xb32-coslr-200e_in1k.py',
    '../runtime_hooks.py',
]

# Inheriting across packages writes `_scope_` into the collate function, which then refuses it at the first batch.
train_dataloader = dict(collate_fn=dict(_delete_=True, type='default_collate'))

model = dict(type='mixssl.MixMoCo')
data_preprocessor = dict(type='mixssl.InstanceMixDataPreprocessor')
default_hooks = _base_.runtime_hooks
