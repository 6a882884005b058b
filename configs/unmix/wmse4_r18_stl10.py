# As wmse2_r18_stl10.py, with four views of each image and half the batch: 256 by the README of W-MSE's authors,
# where Un-Mix's appendix has 512 for all (train_dataloader.batch_size=512).
# Paper (Un-Mix, Table 3): linear 91.75 and 5-NN 88.59 without mixtures, 91.96 and 88.71 with.
_base_ = [
    '../_base_/models/wmse_r18_medium.py',
    '../_base_/datasets/stl10.py',
    '../_base_/protocols/wmse_stl10.py',
]

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
model = dict(
    w_iter=1,  # one order of the batch, where two views take four
    mix_head=dict(type='mixssl.UnMixHead'))

train_pipeline = [
    dict(type='MultiView', num_views=4, transforms=[_base_.view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=256, dataset=dict(pipeline=train_pipeline))
