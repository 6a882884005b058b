# Distillation on ImageNet from DINOv2's ViT-B: everything but the student. Both see one view, mixed by MixUp with a
# uniform λ for the batch. 8 devices of 128 images, 100 epochs.
#
# The teacher's weights are not fetched. They are mmpretrain's vit-base-p14_dinov2-pre_3rdparty:
# https://mmassets.onedl.ai/mmpretrain/v1.0/dinov2/vit-base-p14_dinov2-pre_3rdparty_20230426-ba246503.pth
_base_ = [
    './mmpretrain/mocov2_r50_in1k.py',
    './datasets/views.py',
]

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiView',
        num_views=1,
        transforms=[[
            dict(_base_.crop, crop_ratio_range=(0.14, 1.0)),
            _base_.vit_jitter,
            _base_.gray,
            _base_.flip,
        ]]),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=128, dataset=dict(pipeline=train_pipeline))

data_preprocessor = dict(mixer=dict(type='mixssl.MixUp', alpha=1.0))
model = dict(
    _delete_=True,
    type='mixssl.MixDistill',
    teacher=dict(
        backbone=dict(
            type='VisionTransformer',
            arch='base',
            img_size=518,
            patch_size=14,
            layer_scale_init_value=1e-5,
            out_type='raw'),
        checkpoint='checkpoints/vit-base-p14_dinov2-pre_3rdparty_20230426-ba246503.pth',
        bfloat16=True),
    queue_len=8192,
    dense_weight=1.0,
    mix_head=dict(type='mixssl.DistillHead'))

# The learning rate goes by the square root of the total batch: 5e-4 at 1536 images. Convolutions with batch
# normalisation take this weight decay, transformers 0.04.
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=4.08e-4, weight_decay=1e-6),
    clip_grad=dict(max_norm=1.0))
train_cfg = dict(max_epochs=100)
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
        T_max=90,
        eta_min_ratio=1e-3,
        by_epoch=True,
        begin=10,
        end=100,
        convert_to_iter_based=True),
]
