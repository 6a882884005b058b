# Backbone and projector that W-MSE's authors give all their methods for 32-pixel images, and that Un-Mix keeps: a
# hidden layer of 1024, an embedding of 64 without batch normalisation.
model = dict(
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
        with_last_bn=False,
        with_last_bias=True,
        norm_cfg=dict(type='BN1d')))
