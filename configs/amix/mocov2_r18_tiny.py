# AMix-I on MoCo v2, ResNet-18, Tiny ImageNet at 64 pixels, 400 epochs, batch 256. The paper names neither epochs,
# pixels nor stem for it; the epochs are those of its STL-10, the pixels the data set's, the stem what others use at
# 64 pixels.
# Paper (AMix, Table 5), linear evaluation, top-1: MoCo v2 38.29, with AMix-I 41.97.
_base_ = [
    '../_base_/models/mocov2_r18.py',
    '../_base_/datasets/tiny_imagenet_64px.py',
    '../_base_/protocols/amix.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.AMix', alpha=2.0))
model = dict(
    backbone=dict(type='mixssl.ResNetMedium'),  # 3x3 stem, maps of 8x8 in its third stage
    mix_block=dict(type='mixssl.MixBlockPlus', in_channels=256),
    mix_head=dict(type='mixssl.AMixHead'))
