# The same for 64-pixel images: max-pooling after the 3x3 convolution, and an embedding of 128.
_base_ = ['./simclr_r18_small.py']

model = dict(backbone=dict(type='mixssl.ResNetMedium'), neck=dict(out_channels=128))
