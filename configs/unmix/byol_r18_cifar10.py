# Un-Mix on BYOL, ResNet-18, CIFAR-10, 1000 epochs on one device, by the protocol of W-MSE's authors.
# Top-1 of a linear classifier and of 5 nearest neighbours on the backbone's features.
# Paper (Un-Mix, Table 3): 91.73 and 89.45 without mixtures, 94.20 and 93.03 with.
_base_ = [
    '../_base_/models/byol_r18_small.py',
    '../_base_/datasets/cifar10_wmse.py',
    '../_base_/protocols/wmse_cifar.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
# As Algorithm 1, which calls the method on the pair of the mixture and the other view: each predicts the other.
model = dict(mix_head=dict(type='mixssl.UnMixHead', pairing='mutual'))
