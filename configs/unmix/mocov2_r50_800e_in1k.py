# As mocov2_r50_in1k.py, for 800 epochs.
# Paper (Un-Mix, Table 4), linear evaluation, top-1: MoCo v2 71.1, with Un-Mix 71.8.
_base_ = ['./mocov2_r50_in1k.py']

train_cfg = dict(max_epochs=800)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=800, by_epoch=True, begin=0, end=800),
]
