# MoCo v3, ViT-S/16, ImageNet, 300 epochs, 16 devices of 256 images, without a mixture: the baseline.
# MoCo v3's repository, linear evaluation, top-1: 73.2.
_base_ = ['../_base_/mmpretrain/mocov3_vit_s16_in1k.py']
