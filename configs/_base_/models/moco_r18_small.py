# MoCo for 32-pixel images, as in the CIFAR demo of MoCo's authors: symmetric, one fully connected layer, and batch
# normalisation in 8 parts, which stands in for 8 devices so that shuffling the keys means something on one.
norm_cfg = dict(type='mixssl.SplitBN', num_splits=8)

model = dict(
    type='mixssl.MixMoCo',
    symmetric=True,
    queue_len=4096,
    feat_dim=128,
    momentum=0.01,  # weight of the new value: the demo's m is 0.99
    backbone=dict(
        type='ResNet_CIFAR',  # 3x3 stem without max-pooling
        depth=18,
        norm_cfg=norm_cfg,
        zero_init_residual=False),
    neck=dict(
        type='LinearNeck',
        in_channels=512,
        out_channels=128,
        gap_dim=2,
        norm_cfg=None),
    head=dict(
        type='ContrastiveHead',
        loss=dict(type='CrossEntropyLoss'),
        temperature=0.1))
