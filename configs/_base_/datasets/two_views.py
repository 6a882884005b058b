# What data sets share that are trained on two views of an image: the loaders. A data set says where it lies,
# its statistics and its pipelines, which are lists of named transforms.
_base_ = ['./views_mocov2.py']

# The milder views that W-MSE's authors give their SimCLR, BYOL and W-MSE, and that Un-Mix keeps.
wmse_crop = dict(_base_.crop, interpolation='bicubic')
wmse_gray = dict(_base_.gray, prob=0.1)

data_preprocessor = dict(type='mixssl.InstanceMixDataPreprocessor', to_rgb=True)

train_dataloader = dict(
    batch_size=512,
    num_workers=4,
    drop_last=True,
    # A worker that restarts begins its random numbers anew: every epoch would see the same views.
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'))

# For mixssl.KNNMonitorHook: neighbours come from the bank, accuracy from the query.
knn_bank = dict(
    batch_size=512,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'))
knn_query = knn_bank
