# CIFAR-10 by the CIFAR demo of MoCo's authors: views, 1000 epochs of SGD, 200 neighbours.
_base_ = [
    '../datasets/cifar10.py',
    '../schedules/sgd_cos_1000e.py',
    '../monitored_200nn.py',
]
