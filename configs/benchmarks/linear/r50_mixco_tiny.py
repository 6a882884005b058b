# Linear classification of Tiny ImageNet at 224 pixels on a frozen ResNet-50, as MixCo has it: lr 3. The batch, which
# the paper leaves to MoCo, is that of MoCo.
# Paper (MixCo, Table 1), top-1: MoCo v2 45.82, with MixCo 49.96.
_base_ = [
    '../../_base_/models/linear_r18.py',
    '../../_base_/datasets/tiny_imagenet_224px_labels.py',
    '../../_base_/protocols/linear_mixco.py',
]

model = dict(backbone=dict(depth=50), head=dict(in_channels=2048, num_classes=200))
