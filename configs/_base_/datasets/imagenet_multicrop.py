# ImageNet in two views of 224 pixels and eight crops of 96, as DINO has them.
_base_ = [
    'mmpretrain::_base_/datasets/imagenet_bs512_mocov3.py',
    './imagenet.py',
    './views.py',
]

global_crop = dict(_base_.vit_crop, crop_ratio_range=(0.4, 1.0))
local_crop = dict(_base_.vit_crop, scale=96, crop_ratio_range=(0.05, 0.4))
local_blur = dict(_base_.vit_blur, prob=0.5)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiView',
        num_views=[1, 1, 8],
        transforms=[
            [global_crop, *_base_.vit_view_0],
            [global_crop, *_base_.vit_view_1],
            [local_crop, *_base_.vit_colours, local_blur],
        ]),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=128,
    collate_fn=dict(_delete_=True, type='default_collate'),
    dataset=dict(pipeline=train_pipeline))
data_preprocessor = dict(type='mixssl.InstanceMixDataPreprocessor')
