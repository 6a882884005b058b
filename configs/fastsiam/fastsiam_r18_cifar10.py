# FastSiam: four views, each predicts the mean of the other three. Batch 128, 200 epochs.
# lightly's benchmark, 200 nearest neighbours, best epoch, top-1: SimSiam 81.9, FastSiam 90.6.
_base_ = ['./simsiam_r18_cifar10.py']

train_pipeline = [
    dict(type='MultiView', num_views=4, transforms=[_base_.view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

model = dict(num_views=4)
