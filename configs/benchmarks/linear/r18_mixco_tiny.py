# Linear classification of Tiny ImageNet at 224 pixels on a frozen ResNet-18, as MixCo has it: lr 3. The batch, which
# the paper leaves to MoCo, is that of MoCo.
# Paper (MixCo, Table 1), top-1: MoCo v2 35.79, with MixCo 42.65; SimCLR 35.30, with MixCo 36.44.
_base_ = [
    '../../_base_/models/linear_r18.py',
    '../../_base_/datasets/tiny_imagenet_224px_labels.py',
    '../../_base_/protocols/linear_mixco.py',
]

model = dict(head=dict(num_classes=200))
