# Faster R-CNN, ResNet-50-FPN. New layers are normalised too (pyramid, and a box head of four convolutions), which
# MoCo's authors found to calibrate the scale of features that were not trained with labels.
_base_ = ['mmdet::_base_/models/faster-rcnn_r50_fpn.py']

norm_cfg = dict(type='SyncBN', requires_grad=True)

model = dict(
    init_cfg=dict(type='mixssl.PretrainedBackbone', checkpoint=None),
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(
        style='pytorch',
        frozen_stages=-1,
        norm_cfg=norm_cfg,
        norm_eval=False,
        zero_init_residual=False,
        init_cfg=None),
    neck=dict(norm_cfg=norm_cfg),
    roi_head=dict(
        bbox_head=dict(type='Shared4Conv1FCBBoxHead', conv_out_channels=256, norm_cfg=norm_cfg)))
