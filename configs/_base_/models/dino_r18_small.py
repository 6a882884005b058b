# DINO with a ResNet-18 for small images: a head of two layers with batch normalisation, 2,048 prototypes.
model = dict(
    type='mixssl.MixDINO',
    base_momentum=0.01,  # of the new value: 0.99, and constant
    end_momentum=0.01,
    teacher_temperature=0.04,
    backbone=dict(type='ResNet_CIFAR', depth=18),
    neck=dict(
        type='mixssl.DINONeck',
        in_channels=512,
        out_dim=2048,
        num_layers=2,
        norm_cfg=dict(type='BN1d')))
