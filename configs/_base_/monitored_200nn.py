# The runtime with the monitor of MoCo's CIFAR demo: 200 weighted neighbours on the 128-d output.
_base_ = ['./default_runtime.py']

default_hooks = dict(
    checkpoint=dict(interval=50),
    # Of `knn_bank` and `knn_query`, which the data set's base brings.
    knn=dict(
        type='mixssl.KNNMonitorHook', feature='projected', k=200, temperature=0.1, interval=5))
