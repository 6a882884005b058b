# Un-Mix on W-MSE 2, ResNet-18, Tiny ImageNet, 1000 epochs on one device, by the protocol of W-MSE's authors.
# Top-1 of a linear classifier and of 5 nearest neighbours on the backbone's features.
# Paper (Un-Mix, Table 3): 48.20 and 34.16 without mixtures, 51.33 and 36.78 with.
_base_ = [
    '../_base_/models/wmse_r18_medium.py',
    '../_base_/datasets/tiny_imagenet.py',
    '../_base_/protocols/wmse_tiny.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))
