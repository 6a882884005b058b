# As mocov2_r18_policies_stl10.py, on Tiny ImageNet as in mocov2_r18_tiny.py. i-Mix and MoCHi by two options each, of
# configs/amix/README.md.
# Paper (AMix, Table 5), linear evaluation, top-1: MoCo v2 38.29, with CutMix 41.62.
_base_ = [
    '../_base_/models/mocov2_r18.py',
    '../_base_/datasets/tiny_imagenet_64px.py',
    '../_base_/protocols/amix.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.CutMix'))
model = dict(
    backbone=dict(type='mixssl.ResNetMedium'),  # 3x3 stem
    mix_head=dict(type='mixssl.UnMixHead'))
