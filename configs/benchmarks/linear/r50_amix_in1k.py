# Linear classification of ImageNet as AMix has it: the learning rate falls at epochs 30 and 60.
# Paper (AMix, Table 5), top-1: MoCo v2 67.66, with AMix-I 68.79.
_base_ = [
    '../../_base_/models/linear_r18.py',
    '../../_base_/mmpretrain/in1k_labels.py',
    '../../_base_/protocols/linear_amix.py',
]

# 8 devices of 32 images.
train_dataloader = dict(batch_size=32)
model = dict(backbone=dict(depth=50), head=dict(in_channels=2048))
