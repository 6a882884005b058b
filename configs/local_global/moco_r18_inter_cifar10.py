# Local/global CutMix, approach 2 (mixtures within the batch, both views), on MoCo, ResNet-18, CIFAR-10, 1000 epochs on
# one device, asymmetric. Weighted k-NN with k = 200, top-1.
# Paper (local/global CutMix, Table 1): 88.97 without mixtures, 89.97 with; Un-Mix 91.34 in the same setting.
_base_ = [
    '../_base_/models/moco_r18_small.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/protocols/moco_cifar.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.InterCutMix', alpha=1.0))
model = dict(
    symmetric=False,
    region_neck=dict(type='mixssl.RegionPool', in_channels=512, out_channels=128),
    mix_head=dict(type='mixssl.InterLocalGlobalHead'))
# The paper's learning rate and weight decay, a twentieth and a fifth of those of MoCo's CIFAR demo.
optim_wrapper = dict(optimizer=dict(lr=3e-3, weight_decay=1e-4))
