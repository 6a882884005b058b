# The runtime with 5 neighbours on the backbone's features, as Un-Mix reports for the protocol of W-MSE's authors: the
# paper's vote is unweighted and its distance Euclidean, the monitor's weighted and by cosine.
_base_ = ['./default_runtime.py']

default_hooks = dict(
    checkpoint=dict(interval=50),
    # Of `knn_bank` and `knn_query`, which the data set's base brings.
    knn=dict(type='mixssl.KNNMonitorHook', k=5, interval=10))
