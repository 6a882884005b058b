# The CIFAR demo of MoCo's authors, as Un-Mix's authors have it: 1000 epochs of SGD, a cosine to 0 that steps once an
# epoch, no warm-up; 200 neighbours.
_base_ = ['../default_runtime.py']

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=5e-4))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=1000, by_epoch=True, begin=0, end=1000),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1000)
auto_scale_lr = dict(base_batch_size=512)
default_hooks = dict(
    checkpoint=dict(interval=50),
    # 200 weighted neighbours on the output, as MoCo's CIFAR demo has them, of `knn_bank` and `knn_query`, which the
    # data set's base brings.
    knn=dict(
        type='mixssl.KNNMonitorHook', feature='projected', k=200, temperature=0.1, interval=5))
