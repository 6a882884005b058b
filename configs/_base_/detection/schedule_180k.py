# "2×": 180,000 iterations of 16 images, 24 epochs of COCO; measured at the end.
_base_ = ['./schedule_24k.py']

train_cfg = dict(max_iters=180000, val_interval=180000)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(
        type='MultiStepLR',
        by_epoch=False,
        begin=0,
        end=180000,
        milestones=[120000, 160000],
        gamma=0.1),
]
