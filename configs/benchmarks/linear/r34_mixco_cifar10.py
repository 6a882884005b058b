# Linear transfer from Tiny ImageNet to CIFAR-10 at 224 pixels on a frozen ResNet-34, as MixCo has it.
# Paper (MixCo, Table 1), top-1: MoCo v2 72.97, with MixCo 75.06.
_base_ = [
    '../../_base_/models/linear_r18.py',
    '../../_base_/datasets/cifar10_224px_labels.py',
    '../../_base_/protocols/linear_mixco.py',
]

model = dict(backbone=dict(depth=34), head=dict(num_classes=10))
