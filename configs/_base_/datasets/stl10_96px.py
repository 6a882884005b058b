# STL-10 at its own 96 pixels with MoCo v2's views; labelled and unlabelled training images together.
_base_ = ['./stl10.py']

view_pipeline = [dict(_base_.crop, scale=96), _base_.jitter, _base_.gray, _base_.blur, _base_.flip]
train_pipeline = [
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='PackInputs')]

train_dataloader = dict(batch_size=256, dataset=dict(pipeline=train_pipeline))
knn_bank = dict(dataset=dict(pipeline=test_pipeline))
knn_query = dict(dataset=dict(pipeline=test_pipeline))
