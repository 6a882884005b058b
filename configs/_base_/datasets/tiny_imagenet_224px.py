# Tiny ImageNet enlarged to views of 224 pixels, with MoCo v2's augmentation and ImageNet's mean and spread, as MixCo's
# authors pre-train on it: two devices of 64 images.
_base_ = ['./tiny_imagenet.py']

data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=2, transforms=[_base_.mocov2_views]),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]

train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))
knn_bank = dict(batch_size=256, num_workers=8, dataset=dict(pipeline=test_pipeline))
knn_query = dict(batch_size=256, num_workers=8, dataset=dict(pipeline=test_pipeline))
