# DINO, a ViT of 9 layers with patches of 4 pixels, CIFAR-10, 200 epochs, two views and eight crops of half their size,
# without a mixture. From "How to Train Vision Transformer on Small-scale Datasets" (Gani et al. 2022), which has 96.41
# after fine-tuning, and 93.58 without pre-training.
_base_ = [
    '../_base_/datasets/cifar10.py',
    '../_base_/schedules/adamw_cos.py',
    '../_base_/default_runtime.py',
]

global_crop = dict(type='RandomResizedCrop', scale=32, crop_ratio_range=(0.7, 1.0), interpolation='bicubic')
local_crop = dict(type='RandomResizedCrop', scale=16, crop_ratio_range=(0.2, 0.5), interpolation='bicubic')
global_views = [global_crop, _base_.flip, _base_.jitter, _base_.gray]
local_views = [local_crop, _base_.flip, _base_.jitter, _base_.gray]
train_pipeline = [
    dict(type='MultiView', num_views=[2, 8], transforms=[global_views, local_views]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

model = dict(
    type='mixssl.MixDINO',
    base_momentum=0.004,  # of the new value: 0.996, to 1 along a cosine
    warmup_teacher_temperature=0.04,
    teacher_temperature=0.07,
    warmup_teacher_epochs=10,
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dims=192, num_layers=9, num_heads=12, feedforward_channels=384),
        img_size=32,
        patch_size=4,
        drop_path_rate=0.1),
    neck=dict(
        type='mixssl.DINONeck', in_channels=192, out_dim=1024, norm_last_layer=False))

optim_wrapper = dict(optimizer=dict(lr=2e-4))
param_scheduler = [
    dict(_base_.warm_up, end=30),
    dict(_base_.cosine, T_max=170, begin=30, end=200),
    dict(_base_.decay, T_max=200, end=200),
]
train_cfg = dict(max_epochs=200)
default_hooks = dict(
    checkpoint=dict(interval=50),
    knn=dict(
        type='mixssl.KNNMonitorHook', feature='projected', k=200, temperature=0.1, interval=5),
    clip_each_gradient=dict(type='mixssl.ClipEachGradientHook', max_norm=3.0),
    collapse=dict(type='mixssl.DINOCollapseHook'))
