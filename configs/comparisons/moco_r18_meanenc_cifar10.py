# The mean of two views as key in place of Un-Mix in unmix/moco_r18_asymmetric_cifar10.py, all else equal: no paper's
# recipe, a row of a comparison.
_base_ = [
    '../_base_/models/moco_r18_small.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/protocols/moco_cifar.py',
]

train_pipeline = [
    dict(type='MultiView', num_views=3, transforms=[_base_.view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

model = dict(symmetric=False, key_views=2)
