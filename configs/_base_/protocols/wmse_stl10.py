# The same for STL-10: 2000 epochs.
_base_ = ['./wmse_cifar.py']

optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=1 / 500, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, milestones=[1950, 1975], gamma=0.2),
]
train_cfg = dict(max_epochs=2000)
default_hooks = dict(knn=dict(interval=20))
