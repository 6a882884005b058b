# Linear classification of STL-10 at 96 pixels on a frozen ResNet-50, as AMix has it.
# Paper (AMix, Table 4), top-1 after 400 epochs of pre-training: MoCo v2 84.89, with AMix-I 88.87.
_base_ = [
    '../../_base_/models/linear_r50.py',
    '../../_base_/datasets/stl10_96px_labels.py',
    '../../_base_/protocols/linear_amix_small.py',
]

model = dict(head=dict(num_classes=10))
