# Tiny ImageNet by the protocol of W-MSE's authors: 1000 epochs.
_base_ = [
    '../datasets/tiny_imagenet.py',
    '../schedules/adam_step_1000e.py',
    '../monitored_5nn_64px.py',
]

# Those authors take less than on CIFAR.
optim_wrapper = dict(optimizer=dict(lr=2e-3))
