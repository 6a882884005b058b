# The CIFAR schedule of MoCo's and Un-Mix's authors: a cosine to 0 that steps once an epoch, no warm-up.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.06, momentum=0.9, weight_decay=5e-4))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=1000, by_epoch=True, begin=0, end=1000),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1000)
auto_scale_lr = dict(base_batch_size=512)
