# Faster R-CNN, ResNet-50-C4, as MoCo's authors fine-tune it. mmdet's C4 model is the caffe one, for a supervised
# backbone: other pixels, another place of the strides, frozen stages and statistics. All of that is set anew here.
_base_ = ['mmdet::_base_/models/faster-rcnn_r50-caffe-c4.py']

norm_cfg = dict(type='SyncBN', requires_grad=True)

model = dict(
    # The one thing to set is `checkpoint`: the pre-trained backbone's file, or 'random'.
    init_cfg=dict(type='mixssl.PretrainedBackbone', checkpoint=None),
    # RGB, as in pre-training on ImageNet.
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(
        style='pytorch',
        frozen_stages=-1,
        norm_cfg=norm_cfg,
        norm_eval=False,
        zero_init_residual=False,
        init_cfg=None),
    roi_head=dict(
        # The fourth stage on each region, and the extra norm after it.
        shared_head=dict(_delete_=True, type='mixssl.Res5Head', depth=50, norm_cfg=norm_cfg)))
