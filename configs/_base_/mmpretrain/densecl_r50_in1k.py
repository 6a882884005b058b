# mmpretrain's DenseCL recipe for ImageNet, made fit for mixssl.
_base_ = [
    'mmpretrain::densecl/densecl_resnet50_8xb32-coslr-200e_in1k.py',
    '../runtime_hooks.py',
]

# Inheriting across packages writes `_scope_` into the collate function, which then refuses it at the first batch.
train_dataloader = dict(collate_fn=dict(_delete_=True, type='default_collate'))

model = dict(type='mixssl.MixDenseCL')
data_preprocessor = dict(type='mixssl.InstanceMixDataPreprocessor')
default_hooks = _base_.runtime_hooks
