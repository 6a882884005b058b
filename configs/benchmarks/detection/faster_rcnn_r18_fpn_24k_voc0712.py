# Faster R-CNN R18-FPN: the VOC protocol for a ResNet-18, and the cheapest detector here.
_base_ = [
    '../../_base_/detection/faster_rcnn_r50_fpn.py',
    '../../_base_/detection/voc0712.py',
    '../../_base_/detection/schedule_24k.py',
    '../../_base_/detection/runtime.py',
]

model = dict(
    backbone=dict(depth=18),
    neck=dict(in_channels=[64, 128, 256, 512]),
    roi_head=dict(bbox_head=dict(num_classes=20)))
