# Linear classification of Tiny ImageNet at 64 pixels on a frozen ResNet-50 with the stem of configs/amix/, as AMix
# has it.
# Paper (AMix, Table 5), top-1: MoCo v2 42.08, with AMix-I 47.23.
_base_ = [
    '../../_base_/models/linear_r18.py',
    '../../_base_/datasets/tiny_imagenet_labels.py',
    '../../_base_/protocols/linear_amix_small.py',
]

train_dataloader = dict(batch_size=256)
model = dict(
    backbone=dict(type='mixssl.ResNetMedium', depth=50), head=dict(in_channels=2048, num_classes=200))
# That of the pre-training, tiny_imagenet.py.
data_preprocessor = dict(mean=[122.4, 114.24, 101.49], std=[70.635, 68.595, 71.91])
