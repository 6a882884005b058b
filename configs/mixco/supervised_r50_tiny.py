# As supervised_r34_tiny.py, with a ResNet-50.
# Paper (MixCo, Table 1): 67.03.
_base_ = ['./supervised_r18_tiny.py']

model = dict(backbone=dict(depth=50), head=dict(in_channels=2048))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=200, by_epoch=True, begin=0, end=200),
]
train_cfg = dict(max_epochs=200)
