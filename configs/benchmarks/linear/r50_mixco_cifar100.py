# Linear transfer from Tiny ImageNet to CIFAR-100 at 224 pixels on a frozen ResNet-50, as MixCo has it.
# Paper (MixCo, Table 1), top-1: MoCo v2 58.21, with MixCo 59.36.
_base_ = [
    '../../_base_/models/linear_r18.py',
    '../../_base_/datasets/cifar100_224px_labels.py',
    '../../_base_/protocols/linear_mixco.py',
]

model = dict(backbone=dict(depth=50), head=dict(in_channels=2048, num_classes=100))
