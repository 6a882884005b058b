# SimSiam, ResNet-18, CIFAR-10, batch 128, 200 epochs: what FastSiam is compared with.
# lightly's benchmark, 200 nearest neighbours, best epoch, top-1: 81.9.
_base_ = [
    '../_base_/models/simsiam_r18_small.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/protocols/moco_cifar.py',
]

view_pipeline = [
    dict(type='RandomResizedCrop', scale=32, crop_ratio_range=(0.2, 1.0)),
    _base_.flip,
    _base_.jitter,
    _base_.gray,
]
train_pipeline = [
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
# The benchmark's rate is 0.06 for every batch size.
train_dataloader = dict(batch_size=128, dataset=dict(pipeline=train_pipeline))
auto_scale_lr = dict(base_batch_size=128)

param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=200, by_epoch=True, begin=0, end=200),
]
train_cfg = dict(max_epochs=200)
default_hooks = dict(knn=dict(feature='backbone'))
