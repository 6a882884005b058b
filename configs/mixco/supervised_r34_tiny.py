# As supervised_r18_tiny.py, with a ResNet-34 and for 200 epochs.
# Paper (MixCo, Table 1): 64.99.
_base_ = ['./supervised_r18_tiny.py']

model = dict(backbone=dict(depth=34))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=200, by_epoch=True, begin=0, end=200),
]
train_cfg = dict(max_epochs=200)
