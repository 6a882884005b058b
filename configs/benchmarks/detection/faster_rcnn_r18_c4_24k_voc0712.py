# Faster R-CNN R18-C4: the VOC protocol for a ResNet-18.
_base_ = ['./faster_rcnn_r50_c4_24k_voc0712.py']

model = dict(
    backbone=dict(depth=18),
    rpn_head=dict(in_channels=256, feat_channels=256),
    roi_head=dict(
        shared_head=dict(depth=18),
        bbox_roi_extractor=dict(out_channels=256),
        bbox_head=dict(in_channels=512)))
