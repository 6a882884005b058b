# Un-Mix on MoCo, ResNet-18, CIFAR-10, 1000 epochs on one device: the authors' symmetric CIFAR recipe.
# Weighted k-NN with k = 200 on the output, top-1. Paper (Un-Mix, Table 3): 90.49 without mixtures, 92.25 with.
_base_ = [
    '../_base_/models/moco_r18_small.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/protocols/moco_cifar.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
# The authors' code compares the mixture with the keys of both views, its own included; 'cross' leaves that one out.
model = dict(mix_head=dict(type='mixssl.UnMixHead', pairing='all'))
