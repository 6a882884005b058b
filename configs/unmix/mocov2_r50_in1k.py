# Un-Mix on MoCo v2, ResNet-50, ImageNet, 200 epochs, 8 devices of 32 images. The MoCo v2 recipe is unchanged.
# Paper (Un-Mix, Table 4), linear evaluation, top-1: MoCo v2 67.5, with Un-Mix 68.6.
_base_ = ['../_base_/mmpretrain/mocov2_r50_in1k.py']

data_preprocessor = dict(
    # Regions only, as the paper has it on ImageNet, and as their parser's default is; the authors' run.sh says 0.5.
    mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.0))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))
