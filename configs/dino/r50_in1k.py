# DINO, ResNet-50, ImageNet, 100 epochs, 8 devices of 128 images, two views and eight crops of 96 pixels, no mixture.
_base_ = [
    '../_base_/datasets/imagenet_multicrop.py',
    '../_base_/default_runtime.py',
]

# ResNets take larger views and smaller crops.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiView',
        num_views=[1, 1, 8],
        transforms=[
            [dict(_base_.global_crop, crop_ratio_range=(0.14, 1.0)), *_base_.vit_view_0],
            [dict(_base_.global_crop, crop_ratio_range=(0.14, 1.0)), *_base_.vit_view_1],
            [
                dict(_base_.local_crop, crop_ratio_range=(0.05, 0.14)),
                *_base_.vit_colours,
                _base_.local_blur,
            ],
        ]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

model = dict(
    type='mixssl.MixDINO',
    base_momentum=0.004,  # of the new value: 0.996, to 1 along a cosine
    teacher_temperature=0.04,
    backbone=dict(type='ResNet', depth=50, norm_cfg=dict(type='SyncBN')),
    neck=dict(
        type='mixssl.DINONeck', in_channels=2048, out_dim=65536, norm_cfg=dict(type='SyncBN')))

# lr 0.03 for a total batch of 256.
optim_wrapper = dict(
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    optimizer=dict(type='SGD', lr=0.12, momentum=0.9, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        by_epoch=True,
        begin=0,
        end=10,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=90,
        by_epoch=True,
        begin=10,
        end=100,
        convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100)
default_hooks = dict(collapse=dict(type='mixssl.DINOCollapseHook'))
auto_scale_lr = dict(base_batch_size=1024)
