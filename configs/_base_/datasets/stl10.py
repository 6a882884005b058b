# STL-10, labelled and unlabelled training images together, for two views of 64 pixels, with the augmentation that the
# authors of W-MSE give their SimCLR, BYOL and W-MSE, and that Un-Mix keeps. The root holds stl10_binary/; STL10_ROOT
# moves it.
data_root = '{{$STL10_ROOT:data/stl10}}'
dataset_type = 'mixssl.STL10'

data_preprocessor = dict(
    type='mixssl.InstanceMixDataPreprocessor',
    # RGB, 0 to 255: 0.43, 0.42, 0.39 and 0.27, 0.26, 0.27 of that code.
    mean=[109.65, 107.1, 99.45],
    std=[68.85, 66.3, 68.85],
    to_rgb=True)

view_pipeline = [
    dict(
        type='RandomApply',
        prob=0.8,
        transforms=[
            dict(
                type='ColorJitter',
                brightness=0.4,
                contrast=0.4,
                saturation=0.4,
                hue=0.1,
                backend='cv2')
        ]),
    dict(
        type='RandomGrayscale',
        prob=0.1,
        keep_channels=True,
        channel_weights=(0.114, 0.587, 0.2989)),
    # Pillow smooths what it shrinks, as that code does.
    dict(
        type='RandomResizedCrop',
        scale=64,
        crop_ratio_range=(0.2, 1.0),
        interpolation='bicubic',
        backend='pillow'),
    dict(type='RandomFlip', prob=0.5),
]
train_pipeline = [
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='ResizeEdge', scale=70, edge='short', interpolation='bicubic', backend='pillow'),
    dict(type='CenterCrop', crop_size=64),
    dict(type='PackInputs'),
]

train_dataloader = dict(
    batch_size=512,
    num_workers=8,
    drop_last=True,
    # A worker that restarts begins its random numbers anew: every epoch would see the same views.
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type=dataset_type, data_root=data_root, split='train+unlabeled', pipeline=train_pipeline))

# For mixssl.KNNMonitorHook: neighbours come from the bank, accuracy from the query.
knn_bank = dict(
    batch_size=512,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type=dataset_type, data_root=data_root, split='train', pipeline=test_pipeline))
knn_query = dict(
    batch_size=512,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type=dataset_type, data_root=data_root, split='test', pipeline=test_pipeline))
