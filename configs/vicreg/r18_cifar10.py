# VICReg, ResNet-18, CIFAR-10, 1000 epochs on one device, as solo-learn has it. Its repository, a linear classifier
# trained alongside, top-1: 92.07; on CIFAR-100 68.54.
_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

view_pipeline = [
    dict(
        type='RandomResizedCrop',
        scale=32,
        crop_ratio_range=(0.2, 1.0),
        interpolation='bicubic',
        backend='pillow'),
    _base_.vit_jitter,
    _base_.gray,
    dict(type='Solarize', thr=128, prob=0.1),
    _base_.flip,
]
train_pipeline = [
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=256, dataset=dict(pipeline=train_pipeline))

model = dict(
    type='mixssl.MixVICReg',
    variance=50.0,  # theirs is 25 and not halved between the views
    backbone=dict(
        type='ResNet_CIFAR',  # 3x3 stem without max-pooling
        depth=18,
        norm_cfg=dict(type='BN'),
        zero_init_residual=False),
    neck=dict(
        type='NonLinearNeck',
        in_channels=512,
        hid_channels=2048,
        out_channels=2048,
        num_layers=3,
        with_last_bn=False,
        with_last_bias=True,
        norm_cfg=dict(type='BN1d')))

# Without LARS training diverges. Theirs also keeps LARS from raising a rate above the schedule's.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='mixssl.LARS', lr=0.3, momentum=0.9, weight_decay=1e-4, eta=0.02),
    paramwise_cfg=dict(
        custom_keys={
            'bn': dict(decay_mult=0, lars_exclude=True),
            'bias': dict(decay_mult=0, lars_exclude=True),
            'downsample.1': dict(decay_mult=0, lars_exclude=True),
        }))
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        by_epoch=True,
        begin=0,
        end=10,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=990,
        by_epoch=True,
        begin=10,
        end=1000,
        convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1000)
auto_scale_lr = dict(base_batch_size=256)
default_hooks = dict(
    checkpoint=dict(interval=50),
    knn=dict(type='mixssl.KNNMonitorHook', k=5, interval=10))
