# Mask R-CNN R18-C4, COCO, 1×.
_base_ = ['./mask_rcnn_r50_c4_1x_coco.py']

model = dict(
    backbone=dict(depth=18),
    rpn_head=dict(in_channels=256, feat_channels=256),
    roi_head=dict(
        shared_head=dict(depth=18),
        bbox_roi_extractor=dict(out_channels=256),
        bbox_head=dict(in_channels=512),
        mask_head=dict(in_channels=512)))
