# Un-Mix on MoCo v1, ResNet-50, ImageNet, 200 epochs, 8 devices of 32 images.
# MoCo v1 is v2 without the MLP and the blur, with stronger jitter, a lower temperature and a stepped learning rate.
# Paper (Un-Mix, Table 4), linear evaluation, top-1: MoCo 60.6, which is this config with data_preprocessor.mixer=None;
# no figure with Un-Mix.
_base_ = ['./mocov2_r50_in1k.py']

model = dict(
    neck=dict(
        _delete_=True,
        type='LinearNeck',
        in_channels=2048,
        out_channels=128,
        gap_dim=2,
        norm_cfg=None),
    head=dict(temperature=0.07))

view_pipeline = [
    dict(
        type='RandomResizedCrop',
        scale=224,
        crop_ratio_range=(0.2, 1.),
        backend='pillow'),
    dict(
        type='RandomGrayscale',
        prob=0.2,
        keep_channels=True,
        channel_weights=(0.114, 0.587, 0.2989)),
    dict(
        type='ColorJitter',
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.4),
    dict(type='RandomFlip', prob=0.5),
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, milestones=[120, 160], gamma=0.1),
]
