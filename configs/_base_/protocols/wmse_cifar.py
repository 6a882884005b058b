# The protocol of W-MSE's authors, on one device: 1000 epochs of Adam, 500 iterations of warm-up, a fifth of the
# learning rate from 50 epochs before the end on, a fifth of that from 25; 5 neighbours on the backbone's features.
_base_ = ['../default_runtime.py']

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=3e-3, weight_decay=1e-6))
param_scheduler = [
    dict(type='LinearLR', start_factor=1 / 500, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, milestones=[950, 975], gamma=0.2),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1000)
default_hooks = dict(
    checkpoint=dict(interval=50),
    # Un-Mix's vote is unweighted and its distance Euclidean, the monitor's weighted and by cosine.
    knn=dict(type='mixssl.KNNMonitorHook', k=5, interval=10))
