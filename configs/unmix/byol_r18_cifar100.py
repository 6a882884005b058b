# Un-Mix on BYOL, ResNet-18, CIFAR-100, 1000 epochs on one device, by the protocol of W-MSE's authors.
# Top-1 of a linear classifier and of 5 nearest neighbours on the backbone's features.
# Paper (Un-Mix, Table 3): 66.60 and 56.82 without mixtures, 71.50 and 63.83 with.
_base_ = [
    '../_base_/models/byol_r18_small.py',
    '../_base_/datasets/cifar100_wmse.py',
    '../_base_/protocols/wmse_cifar.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
# As Algorithm 1, which calls the method on the pair of the mixture and the other view: each predicts the other.
model = dict(mix_head=dict(type='mixssl.UnMixHead', pairing='mutual'))
