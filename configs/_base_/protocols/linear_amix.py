# The same as AMix has it (§4.2) on ImageNet: the learning rate falls at epochs 30 and 60.
_base_ = ['./linear.py']

param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, milestones=[30, 60], gamma=0.1),
]
