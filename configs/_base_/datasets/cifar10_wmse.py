# CIFAR-10 with the milder views of W-MSE's authors (views.py).
_base_ = ['./cifar10.py']

view_pipeline = [_base_.jitter, _base_.wmse_gray, dict(_base_.wmse_crop, scale=32), _base_.flip]
train_pipeline = [
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
