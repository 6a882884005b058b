# mmpretrain's SwAV recipe for ImageNet, made fit for mixssl.
_base_ = [
    'mmpretrain::swav/swav_resnet50_8xb32-mcrop-coslr-200e_in1k-224px-96px.py',
    '../runtime_hooks.py',
]

# Inheriting across packages writes `_scope_` into the collate function, which then refuses it at the first batch.
train_dataloader = dict(collate_fn=dict(_delete_=True, type='default_collate'))

data_preprocessor = dict(type='mixssl.InstanceMixDataPreprocessor')
# All of mmpretrain's but its `data_preprocessor`, beside which the one above would be ignored.
model = dict(
    _delete_=True,
    type='mixssl.MixSwAV',
    backbone=_base_.model.backbone,
    neck=_base_.model.neck,
    head=_base_.model.head)

default_hooks = _base_.runtime_hooks
