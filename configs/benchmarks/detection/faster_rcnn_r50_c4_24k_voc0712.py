# Faster R-CNN R50-C4, VOC07+12, 24k iterations on 8 devices of 2 images: the protocol of the papers' VOC tables.
_base_ = [
    '../../_base_/detection/faster_rcnn_r50_c4.py',
    '../../_base_/detection/voc0712.py',
    '../../_base_/detection/schedule_24k.py',
    '../../_base_/detection/runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=20)))
