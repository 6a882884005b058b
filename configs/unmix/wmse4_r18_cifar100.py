# As wmse2_r18_cifar100.py, with four views of each image and half the batch: 256 by the README of W-MSE's authors,
# where Un-Mix's appendix has 512 for all (train_dataloader.batch_size=512).
# Paper (Un-Mix, Table 3): linear 67.64 and 5-NN 56.45 without mixtures, 69.70 and 60.74 with.
_base_ = [
    '../_base_/models/wmse_r18_small.py',
    '../_base_/datasets/cifar100_wmse.py',
    '../_base_/protocols/wmse_cifar.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))

train_pipeline = [
    dict(type='MultiView', num_views=4, transforms=[_base_.view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=256, dataset=dict(pipeline=train_pipeline))
