# Un-Mix on SimCLR, ResNet-18, Tiny ImageNet, 1000 epochs on one device, by the protocol of W-MSE's authors.
# Top-1 of a linear classifier and of 5 nearest neighbours on the backbone's features.
# Paper (Un-Mix, Table 3): 48.84 and 32.86 without mixtures, 49.58 and 34.46 with.
_base_ = [
    '../_base_/models/simclr_r18_medium.py',
    '../_base_/datasets/tiny_imagenet.py',
    '../_base_/protocols/wmse_tiny.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))
