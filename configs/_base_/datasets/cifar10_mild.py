# CIFAR-10 with the milder augmentation that W-MSE's authors give their SimCLR, BYOL and W-MSE, and that Un-Mix keeps.
_base_ = ['./cifar10.py']

mild_gray = dict(_base_.gray, prob=0.1)
mild_crop = dict(_base_.crop, scale=32, interpolation='bicubic')
view_pipeline = [_base_.jitter, mild_gray, mild_crop, _base_.flip]
train_pipeline = [
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
