# The same for 64-pixel images, half as often.
_base_ = ['./monitored_5nn.py']

custom_hooks = [
    *_base_.runtime_hooks,
    dict(type='mixssl.KNNMonitorHook', k=5, interval=20),
]
