# SimCLR for 32-pixel images as the code of W-MSE's authors has it: batch normalisation on the embedding, temperature
# 0.5. That code encodes the views apart; mmpretrain, and so mixssl, as one batch.
model = dict(
    type='mixssl.MixSimCLR',
    backbone=dict(
        type='ResNet_CIFAR',  # 3x3 stem without max-pooling
        depth=18,
        norm_cfg=dict(type='BN'),
        zero_init_residual=False),
    neck=dict(
        type='NonLinearNeck',
        in_channels=512,
        hid_channels=1024,
        out_channels=64,
        num_layers=2,
        with_bias=True,
        with_last_bn=True,
        with_last_bias=False,
        norm_cfg=dict(type='BN1d')),
    head=dict(
        type='ContrastiveHead',
        loss=dict(type='CrossEntropyLoss'),
        temperature=0.5))
