# Mask R-CNN R50-C4, COCO, 1× (90k iterations) on 8 devices of 2 images.
_base_ = [
    '../../_base_/detection/mask_rcnn_r50_c4.py',
    '../../_base_/detection/coco.py',
    '../../_base_/detection/schedule_90k.py',
    '../../_base_/detection/runtime.py',
]
