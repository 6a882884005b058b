# Linear classification of ImageNet on a frozen ResNet-50: the protocol of MoCo's authors, with which Un-Mix
# evaluates.
# Paper (Un-Mix, Table 4), top-1 after 200 epochs of pre-training: MoCo v2 67.5, with Un-Mix 68.6.
_base_ = [
    '../../_base_/models/linear_r18.py',
    '../../_base_/mmpretrain/in1k_labels.py',
    '../../_base_/protocols/linear.py',
]

# 8 devices of 32 images.
train_dataloader = dict(batch_size=32)
model = dict(backbone=dict(depth=50), head=dict(in_channels=2048))
