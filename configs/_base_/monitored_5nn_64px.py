# The same for 64-pixel images, half as often.
_base_ = ['./monitored_5nn.py']

custom_hooks = [
    *_base_.custom_hooks[:-1],
    dict(_base_.custom_hooks[-1], interval=20),
]
