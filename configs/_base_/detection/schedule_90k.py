# "1×": 90,000 iterations of 16 images, 12 epochs of COCO; measured at the end.
_base_ = ['./schedule_24k.py']

train_cfg = dict(max_iters=90000, val_interval=90000)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(
        type='MultiStepLR', by_epoch=False, begin=0, end=90000, milestones=[60000, 80000], gamma=0.1),
]
