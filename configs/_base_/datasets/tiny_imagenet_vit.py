# Tiny ImageNet for ViTs, with PatchMix's augmentation of small images.
_base_ = ['./tiny_imagenet.py']

# ImageNet's, as PatchMix has them for all data.
data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])

larger_crop = dict(_base_.small_crop, scale=64)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiView',
        num_views=[1, 1],
        transforms=[[larger_crop, *_base_.vit_view_0], [larger_crop, *_base_.vit_view_1]]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
