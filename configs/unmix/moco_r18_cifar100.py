# As moco_r18_cifar10.py, on CIFAR-100.
# Normalised by CIFAR-100's statistics; the authors' script takes CIFAR-10's here too (data_preprocessor.mean and .std).
# Weighted k-NN with k = 200 on the output, top-1. Paper (Un-Mix, Table 3): 65.49 without mixtures, 68.83 with.
_base_ = [
    '../_base_/models/moco_r18_small.py',
    '../_base_/datasets/cifar100.py',
    '../_base_/protocols/moco_cifar.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
# The authors' code compares the mixture with the keys of both views, its own included; 'cross' leaves that one out.
model = dict(mix_head=dict(type='mixssl.UnMixHead', pairing='all'))
