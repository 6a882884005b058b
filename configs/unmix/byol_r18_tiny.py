# Un-Mix on BYOL, ResNet-18, Tiny ImageNet, 1000 epochs on one device, by the protocol of W-MSE's authors.
# Top-1 of a linear classifier and of 5 nearest neighbours on the backbone's features.
# Paper (Un-Mix, Table 3): 51.00 and 36.24 without mixtures, 53.39 and 39.27 with.
_base_ = [
    '../_base_/models/byol_r18_medium.py',
    '../_base_/datasets/tiny_imagenet.py',
    '../_base_/protocols/wmse_tiny.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
# As Algorithm 1, which calls the method on the pair of the mixture and the other view: each predicts the other.
model = dict(mix_head=dict(type='mixssl.UnMixHead', pairing='mutual'))
