# Linear transfer from Tiny ImageNet to CIFAR-100 at 224 pixels on a frozen ResNet-18, as MixCo has it.
# Paper (MixCo, Table 1), top-1: MoCo v2 48.81, with MixCo 53.23; SimCLR 47.48, with MixCo 48.32.
_base_ = [
    '../../_base_/models/linear_r18.py',
    '../../_base_/datasets/cifar100_224px_labels.py',
    '../../_base_/protocols/linear_mixco.py',
]

model = dict(head=dict(num_classes=100))
