# MixCo on MoCo v2, ResNet-18, Tiny ImageNet at 224 pixels, 100 epochs, 2 devices of 64 images.
# One batch of queries and mixtures for batch normalisation (joint_bn), ImageNet's statistics and 224 pixels are of the
# authors' code; the paper names none of them.
# Top-1 of a linear classifier (SGD, learning rate 3, a tenth of it after 60 and 80 of 100 epochs, no weight decay).
# Paper (MixCo, Table 1): 35.79 without mixtures, 42.65 with.
_base_ = [
    '../_base_/models/mocov2_r18.py',
    '../_base_/datasets/tiny_imagenet_224px.py',
    '../_base_/protocols/mixco_tiny.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.MixCo'))
model = dict(
    joint_bn=True,  # False encodes the mixtures as a batch of their own
    mix_head=dict(type='mixssl.MixCoHead', temperature=0.05))
