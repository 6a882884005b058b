# As mocov2_r18_tiny.py, with a ResNet-50.
# Paper (AMix, Table 5), linear evaluation, top-1: MoCo v2 42.08, with AMix-I 47.23.
_base_ = ['./mocov2_r18_tiny.py']

model = dict(
    backbone=dict(depth=50),
    neck=dict(in_channels=2048, hid_channels=2048),
    mix_block=dict(in_channels=1024))
