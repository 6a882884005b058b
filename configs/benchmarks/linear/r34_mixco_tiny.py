# Linear classification of Tiny ImageNet at 224 pixels on a frozen ResNet-34, as MixCo has it: lr 3. The batch, which
# the paper leaves to MoCo, is that of MoCo.
# Paper (MixCo, Table 1), top-1: MoCo v2 42.15, with MixCo 45.54.
_base_ = [
    '../../_base_/models/linear_r18.py',
    '../../_base_/datasets/tiny_imagenet_224px_labels.py',
    '../../_base_/protocols/linear_mixco.py',
]

model = dict(backbone=dict(depth=34), head=dict(num_classes=200))
