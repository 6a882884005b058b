# DINO, ResNet-18, CIFAR-10, 200 epochs on one device, without a mixture, in the setting of lightly's benchmark.
# Its figure there, 200-NN: 84.0 for a batch of 128.
_base_ = [
    '../_base_/models/dino_r18_small.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/protocols/moco_cifar.py',
]

dino_crop = dict(type='RandomResizedCrop', scale=32, crop_ratio_range=(0.4, 1.0))
view_pipeline = [dino_crop, _base_.flip, _base_.jitter, _base_.gray]
train_pipeline = [
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=128, dataset=dict(pipeline=train_pipeline))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=200, by_epoch=True, begin=0, end=200)]
train_cfg = dict(max_epochs=200)
default_hooks = dict(collapse=dict(type='mixssl.DINOCollapseHook'))
auto_scale_lr = dict(base_batch_size=128)
