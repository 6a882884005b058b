# Tiny ImageNet at its own 64 pixels with MoCo v2's views.
_base_ = ['./tiny_imagenet.py']

view_pipeline = [dict(_base_.crop, scale=64), _base_.jitter, _base_.gray, _base_.blur, _base_.flip]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]

train_dataloader = dict(batch_size=256, dataset=dict(pipeline=train_pipeline))
