# As mocov2_r18_stl10.py, with a ResNet-50.
# Paper (AMix, Table 4): MoCo v2 84.89, with AMix-I 88.87; after 800 epochs 89.68 and 92.41.
_base_ = ['./mocov2_r18_stl10.py']

model = dict(
    backbone=dict(depth=50),
    neck=dict(in_channels=2048, hid_channels=2048),
    mix_block=dict(in_channels=1024))
