# Linear classification of STL-10 at 96 pixels on a frozen ResNet-50, as AMix has it.
# Paper (AMix, Table 4), top-1 after 400 epochs of pre-training: MoCo v2 84.89, with AMix-I 88.87.
_base_ = [
    '../../_base_/models/linear_r18.py',
    '../../_base_/datasets/stl10_96px_labels.py',
    '../../_base_/protocols/linear_amix_small.py',
]

model = dict(backbone=dict(depth=50), head=dict(in_channels=2048, num_classes=10))
