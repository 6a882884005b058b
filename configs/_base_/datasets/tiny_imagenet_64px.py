# Tiny ImageNet at its own 64 pixels with MoCo v2's views.
_base_ = ['./tiny_imagenet.py', './views_mocov2.py']

view_pipeline = [dict(_base_.mocov2_views[0], scale=64), *_base_.mocov2_views[1:]]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]

train_dataloader = dict(batch_size=256, dataset=dict(pipeline=train_pipeline))
