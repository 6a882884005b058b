# Un-Mix on W-MSE 2, ResNet-18, CIFAR-10, 1000 epochs on one device, by the protocol of W-MSE's authors.
# Top-1 of a linear classifier and of 5 nearest neighbours on the backbone's features.
# Paper (Un-Mix, Table 3): 91.55 and 89.69 without mixtures, 93.04 and 91.33 with.
_base_ = [
    '../_base_/models/wmse_r18_small.py',
    '../_base_/datasets/cifar10_wmse.py',
    '../_base_/protocols/wmse_cifar.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))
