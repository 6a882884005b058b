# Tiny ImageNet by AMix's protocol, MoCo v2's settings (§4.2): a batch of 256, 400 epochs.
_base_ = [
    '../datasets/tiny_imagenet_64px.py',
    '../schedules/sgd_cos_400e.py',
    '../default_runtime.py',
]

default_hooks = dict(knn=dict(type='mixssl.KNNMonitorHook', k=200, interval=20))
