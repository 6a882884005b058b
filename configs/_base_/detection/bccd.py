# BCCD: 364 photographs of blood, 640x480, with boxes around red cells, white cells and platelets; 292 to train on
# (train and val), 72 to measure. The root holds Annotations/, ImageSets/ and JPEGImages/; BCCD_ROOT moves it, and so
# does --data-root. Half size: a platelet still has about 20 pixels.
_base_ = ['./loaders.py']

data_root = '{{$BCCD_ROOT:data/bccd}}'
metainfo = dict(
    classes=('RBC', 'WBC', 'Platelets'), palette=[(213, 94, 0), (0, 114, 178), (0, 158, 115)])

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(320, 240), keep_ratio=True),
    dict(type='RandomFlip', prob=[0.25, 0.25], direction=['horizontal', 'vertical']),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(320, 240), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),  # after resizing: boxes are compared in the image's own size
    dict(type='PackDetInputs', meta_keys=_base_.meta_keys),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        type='mixssl.XMLBoxes',  # two boxes of the 4,888 have no area
        data_root=data_root,
        ann_file='ImageSets/Main/trainval.txt',
        metainfo=metainfo,
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        type='mixssl.XMLBoxes',
        data_root=data_root,
        ann_file='ImageSets/Main/test.txt',
        metainfo=metainfo,
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(_base_.voc_metric, eval_mode='area')
test_evaluator = val_evaluator
