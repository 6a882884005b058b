# BYOL for 32-pixel images as the code of W-MSE's authors has it: the predictor is another projector.
projector = dict(
    type='NonLinearNeck',
    in_channels=512,
    hid_channels=1024,
    out_channels=64,
    num_layers=2,
    with_bias=True,
    with_last_bn=False,
    with_last_bias=True,
    norm_cfg=dict(type='BN1d'))

model = dict(
    type='mixssl.MixBYOL',
    base_momentum=0.01,  # weight of the new value at the start: that code's momentum goes from 0.99 to 1
    backbone=dict(
        type='ResNet_CIFAR',  # 3x3 stem without max-pooling
        depth=18,
        norm_cfg=dict(type='BN'),
        zero_init_residual=False),
    neck=projector,
    head=dict(
        type='LatentPredictHead',
        # The method doubles it to 2 - 2 cos, the squared distance of normalised vectors.
        loss=dict(type='CosineSimilarityLoss', shift_factor=1.0),
        predictor=dict(projector, in_channels=64, with_avg_pool=False)))
