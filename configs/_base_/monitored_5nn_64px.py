# The same for 64-pixel images, half as often.
_base_ = ['./monitored_5nn.py']

default_hooks = dict(knn=dict(interval=20))
