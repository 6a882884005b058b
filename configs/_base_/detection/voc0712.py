# VOC: trainval of 2007 and 2012 to train on, test of 2007 to measure. The root is VOCdevkit, which holds VOC2007/ and
# VOC2012/; VOC_ROOT moves it, and so does --data-root.
_base_ = ['./loaders.py']

data_root = '{{$VOC_ROOT:data/VOCdevkit}}'
dataset_type = 'VOCDataset'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mixssl.KeepDifficult'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='RandomChoiceResize',
        scales=[(1333, short) for short in range(480, 801, 32)],
        keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),  # after resizing: boxes are compared in the image's own size
    dict(type='PackDetInputs', meta_keys=_base_.meta_keys),
]

train_dataloader = dict(
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(
        type='ConcatDataset',
        ignore_keys=['dataset_type'],  # in which the years differ
        datasets=[
            dict(
                type=dataset_type,
                data_root=data_root,
                ann_file=f'VOC{year}/ImageSets/Main/trainval.txt',
                data_prefix=dict(sub_data_root=f'VOC{year}/'),
                filter_cfg=dict(filter_empty_gt=True, min_size=32),
                pipeline=train_pipeline) for year in (2007, 2012)
        ]))
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='VOC2007/ImageSets/Main/test.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader

# Eleven points, as VOC 2007 is measured.
val_evaluator = dict(_base_.voc_metric, eval_mode='11points')
test_evaluator = val_evaluator
