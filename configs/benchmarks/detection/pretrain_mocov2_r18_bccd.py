# MoCo v2 on crops of BCCD's training photographs, without their boxes, for faster_rcnn_r18_fpn_bccd.py. The images
# are held in memory at the size at which the detector sees them.
_base_ = ['../../_base_/datasets/views.py', '../../_base_/default_runtime.py']

data_preprocessor = dict(
    type='mixssl.InstanceMixDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True)

view_pipeline = [
    dict(_base_.crop, scale=64, backend='cv2'),
    _base_.jitter,
    _base_.gray,
    _base_.blur,
    _base_.flip,
]

train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    drop_last=True,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='mixssl.InMemory',
        prepare=[dict(type='Resize', scale=(320, 240))],
        dataset=dict(
            type='mixssl.XMLBoxes',
            data_root='{{$BCCD_ROOT:data/bccd}}',
            ann_file='ImageSets/Main/trainval.txt',
            metainfo=dict(classes=('RBC', 'WBC', 'Platelets')),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
                dict(type='PackInputs'),
            ])))

model = dict(
    type='mixssl.MixMoCo',
    queue_len=128,  # less than half of the images, so that few keys are an image's own older ones
    feat_dim=64,
    momentum=0.01,
    backbone=dict(
        type='ResNet', depth=18, stem_channels=16, base_channels=16, zero_init_residual=False),
    neck=dict(
        type='MoCoV2Neck', in_channels=128, hid_channels=128, out_channels=64, with_avg_pool=True),
    head=dict(type='ContrastiveHead', loss=dict(type='CrossEntropyLoss'), temperature=0.2))

# An epoch is 4 iterations: 292 images in batches of 64.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.1, by_epoch=True, begin=0, end=10, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=10, end=100, convert_to_iter_based=True),
]

default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=100, max_keep_ckpts=1))
randomness = dict(seed=0)
