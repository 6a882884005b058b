# Mask R-CNN, a narrow R18-FPN, on scenes of handwritten digits: what `make demo-det` fine-tunes, on a CPU, in a minute.
_base_ = [
    '../../_base_/detection/mask_rcnn_r50_fpn.py',
    '../../_base_/detection/digit_scenes.py',
    '../../_base_/detection/schedule_24k.py',
    '../../_base_/detection/runtime.py',
]

model = dict(
    data_preprocessor=dict(mean=[79.731] * 3, std=[90.518] * 3),  # as in pre-training
    backbone=dict(depth=18, base_channels=16, stem_channels=16),
    # Without norms new layers learn faster at first, and 300 iterations are all there is.
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=32, num_outs=4, norm_cfg=None),
    rpn_head=dict(
        in_channels=32,
        feat_channels=32,
        # Sides of 16, 32, 64 and 128 pixels.
        anchor_generator=dict(scales=[4], strides=[4, 8, 16, 32])),
    roi_head=dict(
        # Digits of up to 48 pixels are read from the finest map, as things of 112 pixels are on COCO.
        bbox_roi_extractor=dict(out_channels=32, finest_scale=24),
        bbox_head=dict(
            type='Shared2FCBBoxHead',
            norm_cfg=None,
            in_channels=32,
            fc_out_channels=128,
            num_classes=10),
        mask_roi_extractor=dict(out_channels=32, finest_scale=24),
        mask_head=dict(
            num_convs=2, in_channels=32, conv_out_channels=32, norm_cfg=None, num_classes=10)),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=64)),
        rpn_proposal=dict(nms_pre=400, max_per_img=100),
        rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=50), rcnn=dict(max_per_img=20)))

train_cfg = dict(max_iters=300, val_interval=300)
optim_wrapper = dict(clip_grad=dict(max_norm=10))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=30, end=300),
]
default_hooks = dict(
    checkpoint=dict(interval=300, max_keep_ckpts=1), precise_bn=dict(num_iters=25))
