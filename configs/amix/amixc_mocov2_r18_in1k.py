# As amixc_mocov2_r50_in1k.py, with a ResNet-18.
# Paper (AMix, Table 5), linear evaluation, top-1: MoCo v2 52.85, with AMix-C 53.62.
_base_ = ['./amixc_mocov2_r50_in1k.py']

model = dict(
    backbone=dict(depth=18),
    neck=dict(in_channels=512, hid_channels=512),
    mix_block=dict(in_channels=256))
