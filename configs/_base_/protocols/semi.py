# Fine-tuning on few labels as the code of SwAV's authors does it: 20 epochs, a total batch of 256, a fifth of the
# learning rates from epochs 12 and 16 on, no weight decay; the new classifier learns faster than the backbone.
_base_ = ['../default_runtime.py']

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0),
    paramwise_cfg=dict(custom_keys={'head.': dict(lr_mult=20.0)}))
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, milestones=[12, 16], gamma=0.2),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=20, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=256)
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=1, save_best='accuracy/top1'))
