# As moco_cifar10.py, on CIFAR-100.
_base_ = [
    '../datasets/cifar100.py',
    '../schedules/sgd_cos_1000e.py',
    '../monitored_200nn.py',
]
