# Mixed Barlow Twins, ResNet-18, CIFAR-10, 2000 epochs on one device.
# Their repository: 200 nearest neighbours 90.52, linear 92.58, top-1.
_base_ = ['../_base_/datasets/cifar10.py', '../_base_/default_runtime.py']

train_dataloader = dict(batch_size=256)

# The mixture is of view 0, with partners of view 1.
data_preprocessor = dict(mixer=dict(type='mixssl.MixUp', alpha=1.0, partner_view=1))
model = dict(
    type='mixssl.MixBarlowTwins',
    normalize=True,
    backbone=dict(
        type='ResNet_CIFAR',  # 3x3 stem without max-pooling
        depth=18,
        norm_cfg=dict(type='BN'),
        zero_init_residual=False),
    neck=dict(
        type='NonLinearNeck',
        in_channels=512,
        hid_channels=512,
        out_channels=1024,
        num_layers=2,
        with_last_bn=False,
        with_last_bias=True,
        norm_cfg=dict(type='BN1d')),
    head=dict(
        type='LatentCrossCorrelationHead',
        in_channels=1024,
        loss=dict(type='CrossCorrelationLoss', lambd=1 / 128)),
    mix_head=dict(type='mixssl.BlendHead', pairing='own', loss_weight=4.0))

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=0.01, weight_decay=1e-6))
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
        T_max=1990,
        eta_min=1e-5,
        by_epoch=True,
        begin=10,
        end=2000,
        convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2000)
auto_scale_lr = dict(base_batch_size=256)
default_hooks = dict(
    checkpoint=dict(interval=50),
    knn=dict(
        type='mixssl.KNNMonitorHook', feature='backbone', k=200, temperature=0.5, interval=5))
