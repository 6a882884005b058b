# AMix-I on MoCo v2, ResNet-50, ImageNet, 8 devices of 32 images. The MoCo v2 recipe's 200 epochs are kept; the paper
# names none for this table.
# Paper (AMix, Table 5), linear evaluation, top-1: MoCo v2 67.66, with AMix-I 68.79.
_base_ = ['../_base_/mmpretrain/mocov2_r50_in1k.py']

data_preprocessor = dict(mixer=dict(type='mixssl.AMix', alpha=2.0))
model = dict(
    mix_block=dict(type='mixssl.MixBlockPlus', in_channels=1024),
    mix_head=dict(type='mixssl.AMixHead'))
# Weight decay would pull Mix Block's γ back to where it starts.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'mix_block.encoding.lam_gamma': dict(decay_mult=0.0)}))
