# The same for 64-pixel images: max-pooling after the 3x3 convolution, and an embedding of 128.
_base_ = ['./byol_r18_small.py']

model = dict(
    backbone=dict(type='mixssl.ResNetMedium'),
    neck=dict(out_channels=128),
    head=dict(predictor=dict(in_channels=128, out_channels=128)))
