# MixMask on MoCo v2, ResNet-50, ImageNet, 200 epochs, 8 devices of 32 images. The MoCo v2 recipe is unchanged.
# Their repository, linear evaluation, top-1: MoCo v2 67.7, with MixMask 69.2.
_base_ = ['../_base_/mmpretrain/mocov2_r50_in1k.py']

data_preprocessor = dict(mixer=dict(type='mixssl.MixMask', kind='blockwise', grid=8, mask_lam=0.5))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))
