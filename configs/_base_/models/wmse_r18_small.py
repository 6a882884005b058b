# W-MSE for 32-pixel images as its authors' code has it: the embedding is whitened in groups of 128, once per step.
# Backbone and projector are those of all their methods: a hidden layer of 1024, an embedding of 64 without batch
# normalisation.
model = dict(
    type='mixssl.MixWMSE',
    w_size=128,
    w_iter=1,
    eps=0.0,  # 1e-4 if a covariance should turn out singular
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
