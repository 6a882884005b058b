# RegionCL on SimSiam, ResNet-50, ImageNet, 200 epochs, 8 devices of 32 images: mmpretrain's recipe, since the authors
# released no code of this variant. Their repository, linear evaluation, top-1: 71.3.
_base_ = ['../_base_/mmpretrain/simsiam_r50_in1k.py']

data_preprocessor = dict(mixer=dict(type='mixssl.RegionCL', stride=32, cells=(3, 5)))
model = dict(mix_head=dict(type='mixssl.RegionCLHead'))
