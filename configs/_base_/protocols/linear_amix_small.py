# The same as AMix has it (§4.2) on STL-10 and Tiny ImageNet: lr 0.1.
_base_ = ['./linear.py']

optim_wrapper = dict(optimizer=dict(lr=0.1))
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, milestones=[30, 60], gamma=0.1),
]
