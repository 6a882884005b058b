# mmpretrain's Barlow Twins recipe for ImageNet, made fit for mixssl.
_base_ = [
    'mmpretrain::barlowtwins/barlowtwins_resnet50_8xb256-coslr-300e_in1k.py',
    '../runtime_hooks.py',
]

# Inheriting across packages writes `_scope_` into the collate function, which then refuses it at the first batch.
train_dataloader = dict(collate_fn=dict(_delete_=True, type='default_collate'))

model = dict(type='mixssl.MixBarlowTwins')
optim_wrapper = dict(optimizer=dict(type='mixssl.LARS'))
data_preprocessor = dict(type='mixssl.InstanceMixDataPreprocessor')
default_hooks = _base_.runtime_hooks
