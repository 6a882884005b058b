# The same for Tiny ImageNet: less than on CIFAR at a time, and measured half as often.
_base_ = ['./wmse_cifar.py']

optim_wrapper = dict(optimizer=dict(lr=2e-3))
default_hooks = dict(knn=dict(interval=20))
