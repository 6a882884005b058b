# MoCo v3 with a small ViT for small images, as PatchMix has it: nothing frozen, and no factor 2 tau on the loss.
model = dict(
    type='mixssl.MixMoCoV3',
    base_momentum=0.004,  # of the new value: the paper's 0.996
    backbone=dict(
        type='mixssl.MoCoV3ViT',
        arch='mocov3-small',
        img_size=32,
        patch_size=2,
        stop_grad_conv1=False),
    neck=dict(
        type='NonLinearNeck',
        in_channels=384,
        hid_channels=4096,
        out_channels=256,
        num_layers=3,
        with_bias=False,
        with_last_bn=True,
        with_last_bn_affine=False,
        with_last_bias=False,
        with_avg_pool=False,
        norm_cfg=dict(type='BN1d')),
    head=dict(
        type='MoCoV3Head',
        predictor=dict(
            type='NonLinearNeck',
            in_channels=256,
            hid_channels=4096,
            out_channels=256,
            num_layers=2,
            with_bias=False,
            with_last_bn=True,
            with_last_bn_affine=False,
            with_last_bias=False,
            with_avg_pool=False,
            norm_cfg=dict(type='BN1d')),
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        temperature=0.2))
