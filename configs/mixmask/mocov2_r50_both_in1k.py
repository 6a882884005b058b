# MixMask beside Un-Mix on MoCo v2, ResNet-50, ImageNet, 200 epochs, 8 devices of 32 images: two mixtures in a step.
# Their repository, linear evaluation, top-1: MoCo v2 67.7, with MixMask 69.2, with both 69.5.
_base_ = ['../_base_/mmpretrain/mocov2_r50_in1k.py']

data_preprocessor = dict(
    mixer=dict(
        type='mixssl.Stack',
        mixers=[
            dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5),
            # Its partners are another order of the batch than Un-Mix's.
            dict(type='mixssl.MixMask', kind='blockwise', grid=8, mask_lam=0.5, shuffle=True),
        ]))
model = dict(
    mix_head=dict(
        type='mixssl.StackHead',
        heads=[dict(type='mixssl.UnMixHead'), dict(type='mixssl.UnMixHead')]))
