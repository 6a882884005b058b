# The same for 64-pixel images: max-pooling after the 3x3 convolution, an embedding of 128 that is whitened in groups of
# 256, under four orders of the batch.
_base_ = ['./wmse_r18_small.py']

model = dict(
    w_size=256,
    w_iter=4,
    backbone=dict(type='mixssl.ResNetMedium'),
    neck=dict(out_channels=128))
