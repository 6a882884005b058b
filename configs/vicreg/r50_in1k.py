# VICReg, ResNet-50, ImageNet, 1000 epochs, 8 devices of 256 images.
# Their repository, linear evaluation, top-1: 73.2.
# For 100 epochs the authors take a base rate of 0.3 (batch 512) in place of 0.2: optim_wrapper.optimizer.lr is that
# times the total batch over 256.
_base_ = ['../_base_/mmpretrain/barlowtwins_r50_in1k.py']

model = dict(_delete_=True, type='mixssl.MixVICReg', backbone=_base_.model.backbone, neck=_base_.model.neck)

optim_wrapper = dict(
    optimizer=dict(lr=1.6, weight_decay=1e-6),
    paramwise_cfg=dict(
        _delete_=True,
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
        eta_min=0.0016,
        by_epoch=True,
        begin=10,
        end=1000,
        convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=1000)
