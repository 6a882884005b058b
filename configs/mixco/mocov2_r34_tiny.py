# As mocov2_r18_tiny.py, with a ResNet-34 and for 200 epochs.
# Paper (MixCo, Table 1): 42.15 without mixtures, 45.54 with.
_base_ = ['./mocov2_r18_tiny.py']

model = dict(backbone=dict(depth=34))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=200, by_epoch=True, begin=0, end=200),
]
train_cfg = dict(max_epochs=200)
