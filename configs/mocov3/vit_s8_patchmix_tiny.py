# PatchMix on MoCo v3, ViT-S with patches of 8 pixels, Tiny ImageNet at 64 pixels, 800 epochs.
_base_ = ['./vit_s8_tiny.py']

data_preprocessor = dict(mixer=dict(type='mixssl.PatchMix', patch=8))
model = dict(symmetric=False, mix_head=dict(type='mixssl.OverlapHead'))
