# As mocov2_r18_policies_stl10.py, with a ResNet-50 on ImageNet as in mocov2_r50_in1k.py. i-Mix and MoCHi by two options
# each, of configs/amix/README.md.
# Paper (AMix, Table 5), linear evaluation, top-1: MoCo v2 67.66, with CutMix 68.28.
_base_ = ['../_base_/mmpretrain/mocov2_r50_in1k.py']

data_preprocessor = dict(mixer=dict(type='mixssl.CutMix'))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))
