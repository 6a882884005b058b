# MoCo v2 as "On the Importance of Asymmetry for Siamese Representation Learning" has it, ResNet-50, ImageNet, 100
# epochs, 8 devices of 32 images: a projector of three layers, all else MoCo v2's.
# Their repository, linear evaluation, top-1: 65.8.
_base_ = [
    '../_base_/mmpretrain/mocov2_r50_in1k.py',
    '../_base_/datasets/views.py',
]

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=2, transforms=[_base_.mocov2_views]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

model = dict(
    neck=dict(
        _delete_=True,
        # Theirs normalises behind the first layer alone, this one behind the second too.
        type='NonLinearNeck',
        in_channels=2048,
        hid_channels=2048,
        out_channels=128,
        num_layers=3,
        with_bias=True,
        with_last_bn=False,
        with_last_bias=True,
        norm_cfg=dict(type='BN1d')))

train_cfg = dict(max_epochs=100)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=100, by_epoch=True, begin=0, end=100),
]
