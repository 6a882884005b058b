# The protocol of MixCo's authors: 100 epochs, two devices of 64 images.
_base_ = ['../schedules/sgd_cos_100e.py', '../default_runtime.py']

default_hooks = dict(knn=dict(type='mixssl.KNNMonitorHook', k=200, interval=20))
