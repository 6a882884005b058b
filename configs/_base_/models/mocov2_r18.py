# MoCo v2 with a ResNet-18, its other settings those of its authors.
model = dict(
    type='mixssl.MixMoCo',
    queue_len=65536,
    feat_dim=128,
    momentum=0.001,  # weight of the new value
    backbone=dict(
        type='ResNet',
        depth=18,
        norm_cfg=dict(type='BN'),
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
        temperature=0.2))
