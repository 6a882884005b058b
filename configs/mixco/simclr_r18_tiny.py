# MixCo on SimCLR, ResNet-18, Tiny ImageNet at 224 pixels, 100 epochs, 2 devices of 64 images.
# Top-1 of a linear classifier, as in mocov2_r18_tiny.py. Paper (MixCo, Table 1; settings of SimCLR not yet searched
# for): 35.30 without mixtures, 36.44 with. The authors' code draws a λ for each view and encodes the views apart.
_base_ = ['../_base_/datasets/tiny_imagenet_224px.py', '../_base_/protocols/mixco_tiny.py']

model = dict(
    type='mixssl.MixSimCLR',
    backbone=dict(
        type='ResNet',
        depth=18,
        norm_cfg=dict(type='SyncBN'),
        zero_init_residual=False),
    neck=dict(
        type='MoCoV2Neck',
        in_channels=512,
        hid_channels=512,
        out_channels=128,
        with_avg_pool=True),
    head=dict(
        type='ContrastiveHead',
        loss=dict(type='CrossEntropyLoss'),
        temperature=0.5),
    # Half for each of the two directions.
    mix_head=dict(type='mixssl.MixCoHead', temperature=0.5, loss_weight=0.5))
data_preprocessor = dict(mixer=dict(type='mixssl.MixCo', views=(0, 1)))

# The authors' views for SimCLR: twice MoCo's jitter, and the flip before it.
strong_jitter = dict(
    type='RandomApply',
    prob=0.8,
    transforms=[
        dict(
            type='ColorJitter',
            brightness=0.8,
            contrast=0.8,
            saturation=0.8,
            hue=0.2,
            backend='cv2')
    ])
view_pipeline = [_base_.crop, _base_.flip, strong_jitter, _base_.gray, _base_.blur]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(optimizer=dict(lr=0.15, weight_decay=1e-6))
param_scheduler = [
    # Constant for ten epochs, then the first nine tenths of a cosine of 100, as in the authors' code.
    dict(type='CosineAnnealingLR', T_max=100, by_epoch=True, begin=10, end=110),
]
