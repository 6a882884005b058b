# A ResNet-18 of a quarter of the channels from a whole one, on mixtures that both see, 200 epochs on one device. The
# teacher is one that unmix/simclr_r18_cifar10.py trains; other recipes for these images make one too.
_base_ = ['../_base_/datasets/cifar10_wmse.py', '../_base_/default_runtime.py']

train_pipeline = [
    dict(type='MultiView', num_views=1, transforms=[_base_.view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

data_preprocessor = dict(mixer=dict(type='mixssl.MixUp', alpha=1.0))
model = dict(
    type='mixssl.MixDistill',
    backbone=dict(type='ResNet_CIFAR', depth=18, base_channels=16, stem_channels=16),
    neck=dict(type='mixssl.DistillNeck', in_channels=128, out_channels=512),
    teacher=dict(
        backbone=dict(type='ResNet_CIFAR', depth=18),
        checkpoint='work_dirs/simclr_r18_cifar10/epoch_1000.pth'),
    queue_len=8192,
    mix_head=dict(type='mixssl.DistillHead'))

# 5e-4 at 1536 images, by the square root of the batch of 512.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2.89e-4, weight_decay=1e-6),
    clip_grad=dict(max_norm=1.0))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=200)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-3,
        by_epoch=True,
        begin=0,
        end=10,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=190,
        eta_min_ratio=1e-3,
        by_epoch=True,
        begin=10,
        end=200,
        convert_to_iter_based=True),
]
default_hooks = dict(
    checkpoint=dict(interval=50),
    knn=dict(type='mixssl.KNNMonitorHook', k=5, interval=10))
