# A linear classifier on a frozen ResNet-18: no gradient, and batch normalisation by the statistics of pre-training.
model = dict(
    type='ImageClassifier',
    # The one thing to set is `checkpoint`: the pre-trained backbone's file, or 'random'. Every tensor of the backbone
    # arrives from there, or nothing starts; the log says how many.
    init_cfg=dict(type='mixssl.PretrainedBackbone', checkpoint=None),
    backbone=dict(
        type='ResNet',
        depth=18,
        frozen_stages=4,
        norm_cfg=dict(type='BN'),
        norm_eval=True,
        # True would set norms to zero after the weights have been loaded.
        zero_init_residual=False),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        in_channels=512,
        num_classes=1000,
        loss=dict(type='CrossEntropyLoss'),
        topk=(1, 5)))
