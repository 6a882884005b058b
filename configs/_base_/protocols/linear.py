# The linear protocol of MoCo's authors, which Un-Mix and MixCo follow: 100 epochs of SGD without weight decay, a
# tenth of the learning rate from epochs 60 and 80 on. lr 30 for a total batch of 256.
_base_ = ['../default_runtime.py']

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=30.0, momentum=0.9, weight_decay=0.0))
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, milestones=[60, 80], gamma=0.1),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=256)
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=1, save_best='accuracy/top1'))
