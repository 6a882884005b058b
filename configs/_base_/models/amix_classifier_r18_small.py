# A classifier with AMix for images of 32 or 64 pixels: 3x3 stem without max-pooling, masks from the maps of stage 3.
model = dict(
    type='mixssl.AMixClassifier',
    alpha=2.0,  # of the authors' code; the paper searches for it and does not say what it found for classifiers
    base_momentum=0.001,  # weight of the new value: momentum goes from 0.999 to 1
    block_losses=('ce',),
    backbone=dict(type='ResNet_CIFAR', depth=18, norm_cfg=dict(type='BN')),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', in_channels=512, topk=(1, 5)),
    mix_block=dict(
        type='mixssl.MixBlockPlus',
        in_channels=256,
        adjust=False))  # Table 8: 68.56 without λ adjusting, 68.37 with, on Tiny ImageNet
