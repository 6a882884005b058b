# Fine-tuning the ViT-T of mocov3/vit_t2_cifar10.py on CIFAR-10: 100 epochs of AdamW, learning rates that fall by a
# quarter from layer to layer, 5 epochs of warm-up. Usual settings: PatchMix's repository has 97.5 and does not say how.
_base_ = [
    '../../_base_/datasets/cifar10_labels.py',
    '../../_base_/default_runtime.py',
]

# As pre-training has them.
data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])

model = dict(
    type='ImageClassifier',
    init_cfg=dict(type='mixssl.PretrainedBackbone', checkpoint=None),
    backbone=dict(
        type='mixssl.MoCoV3ViT', arch='deit-tiny', img_size=32, patch_size=2, drop_path_rate=0.1),
    head=dict(
        type='VisionTransformerClsHead',
        in_channels=192,
        num_classes=10,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')))

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    constructor='LearningRateDecayOptimWrapperConstructor',
    paramwise_cfg=dict(
        layer_decay_rate=0.75, norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0))
train_dataloader = dict(batch_size=256)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        by_epoch=True,
        begin=0,
        end=5,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=95,
        eta_min=1e-6,
        by_epoch=True,
        begin=5,
        end=100,
        convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=256)
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=1, save_best='accuracy/top1'))
