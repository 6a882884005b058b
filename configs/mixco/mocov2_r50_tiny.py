# As mocov2_r34_tiny.py, with a ResNet-50.
# Paper (MixCo, Table 1): 45.82 without mixtures, 49.96 with.
_base_ = ['./mocov2_r18_tiny.py']

model = dict(
    backbone=dict(depth=50),
    neck=dict(in_channels=2048, hid_channels=2048))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=200, by_epoch=True, begin=0, end=200),
]
train_cfg = dict(max_epochs=200)
