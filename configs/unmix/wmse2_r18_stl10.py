# Un-Mix on W-MSE 2, ResNet-18, STL-10, 2000 epochs on one device, by the protocol of W-MSE's authors.
# Top-1 of a linear classifier and of 5 nearest neighbours on the backbone's features.
# Paper (Un-Mix, Table 3): 90.36 and 87.10 without mixtures, 92.21 and 88.88 with.
_base_ = [
    '../_base_/models/wmse_r18_medium.py',
    '../_base_/datasets/stl10.py',
    '../_base_/protocols/wmse_stl10.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))
