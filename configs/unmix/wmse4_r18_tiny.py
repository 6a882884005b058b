# As wmse2_r18_tiny.py, with four views of each image and half the batch: 256 by the README of W-MSE's authors,
# where Un-Mix's appendix has 512 for all (train_dataloader.batch_size=512).
# Paper (Un-Mix, Table 3): linear 49.22 and 5-NN 35.44 without mixtures, 50.67 and 36.13 with.
_base_ = [
    '../_base_/models/wmse_r18_medium.py',
    '../_base_/datasets/tiny_imagenet.py',
    '../_base_/protocols/wmse_tiny.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
model = dict(
    w_iter=1,  # one order of the batch, where two views take four
    mix_head=dict(type='mixssl.UnMixHead'))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=4, transforms=[_base_.view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=256, dataset=dict(pipeline=train_pipeline))
