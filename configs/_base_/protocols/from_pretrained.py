# What protocols share that start a classifier from a pre-trained backbone: tested after every epoch, the best one kept.
_base_ = ['../default_runtime.py']

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=1, save_best='accuracy/top1'))
