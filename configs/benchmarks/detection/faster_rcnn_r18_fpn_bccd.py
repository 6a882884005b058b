# Faster R-CNN, a narrow R18-FPN, on photographs of blood cells: real images, on a CPU, in minutes.
_base_ = [
    '../../_base_/detection/faster_rcnn_r50_fpn.py',
    '../../_base_/detection/bccd.py',
    '../../_base_/detection/schedule_24k.py',
    '../../_base_/detection/runtime.py',
]

model = dict(
    backbone=dict(depth=18, base_channels=16, stem_channels=16),
    # Without norms new layers learn faster at first, and 400 iterations are all there is.
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=32, norm_cfg=None),
    rpn_head=dict(
        in_channels=32,
        feat_channels=32,
        anchor_generator=dict(scales=[4])),  # sides of 16 to 256 pixels
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=32),
        bbox_head=dict(
            type='Shared2FCBBoxHead',
            norm_cfg=None,
            in_channels=32,
            fc_out_channels=128,
            num_classes=3)),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=128)),
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=200)))

train_cfg = dict(max_iters=400, val_interval=400)
optim_wrapper = dict(clip_grad=dict(max_norm=10))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=30, end=400),
]
default_hooks = dict(
    checkpoint=dict(interval=400, max_keep_ckpts=1), precise_bn=dict(num_iters=37))
