# CIFAR-10 by the protocol of W-MSE's authors: milder views, 1000 epochs of Adam, 5 neighbours.
_base_ = [
    '../datasets/cifar10_mild.py',
    '../schedules/adam_step_1000e.py',
    '../monitored_5nn.py',
]
