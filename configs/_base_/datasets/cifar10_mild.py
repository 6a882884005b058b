# CIFAR-10 with the milder augmentation that W-MSE's authors give their SimCLR, BYOL and W-MSE, and that Un-Mix keeps.
_base_ = ['./cifar10.py']

view_pipeline = [
    _base_.view_pipeline[2],  # the jitter
    dict(_base_.view_pipeline[3], prob=0.1),  # gray
    dict(
        type='RandomResizedCrop',
        scale=32,
        crop_ratio_range=(0.2, 1.0),
        interpolation='bicubic',
        backend='pillow'),
    dict(type='RandomFlip', prob=0.5),
]
train_pipeline = [
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
