# scikit-learn's handwritten digits, 16x16: real images that come with a dependency.
data_preprocessor = dict(
    type='mixssl.InstanceMixDataPreprocessor',
    mean=[79.731, 79.731, 79.731],
    std=[90.518, 90.518, 90.518],
    to_rgb=True)

# Crops cut strokes away and colours say nothing here, so the views differ by what handwriting differs by.
view_pipeline = [
    dict(type='NumpyToPIL'),
    dict(
        type='torchvision/RandomAffine',
        degrees=15,
        translate=(0.1, 0.1),
        scale=(0.85, 1.15),
        shear=10,
        interpolation='bilinear'),
    dict(type='torchvision/ColorJitter', brightness=0.4),
    dict(type='PILToNumpy'),
    dict(type='mixssl.GaussianNoise', std=(0.0, 20.0)),
]
train_pipeline = [
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='PackInputs')]

train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    drop_last=True,
    # A worker that restarts begins its random numbers anew: every epoch would see the same views.
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='mixssl.Digits', split='train', pipeline=train_pipeline))

# Of linear probes on cached features: 50 steps an epoch, as the protocol's 1,000 images give on CIFAR. With 1,000 of
# 1,297 the schedule ends long before the fit is good.
linear_probe = dict(batch_size=26)

# For mixssl.KNNMonitorHook: neighbours come from the bank, accuracy from the query.
knn_bank = dict(
    batch_size=256,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='mixssl.Digits', split='train', pipeline=test_pipeline))
knn_query = dict(knn_bank, dataset=dict(knn_bank['dataset'], split='test'))
