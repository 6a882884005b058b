# The same for 2000 epochs of STL-10.
_base_ = ['./adam_step_1000e.py']

optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=1 / 500, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, milestones=[1950, 1975], gamma=0.2),
]
train_cfg = dict(max_epochs=2000)
