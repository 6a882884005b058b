# As wmse_cifar10.py, on CIFAR-100.
_base_ = [
    '../datasets/cifar100_mild.py',
    '../schedules/adam_step_1000e.py',
    '../monitored_5nn.py',
]
