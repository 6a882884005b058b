# Tiny ImageNet with labels: crops of 64 pixels, 8 % of the image or more, and flips. Where the data lie:
# tiny_imagenet.py.
_base_ = ['./labels.py']

data_root = '{{$TINY_IMAGENET_ROOT:data/tiny-imagenet-200}}'
dataset_type = 'mixssl.TinyImageNet'
data_preprocessor = dict(
    type='ClsDataPreprocessor',
    num_classes=200,
    # ImageNet's, as in the code of AMix's authors.
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=64),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]

train_dataloader = dict(
    batch_size=100,
    dataset=dict(type=dataset_type, data_root=data_root, split='train', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=500,
    dataset=dict(type=dataset_type, data_root=data_root, split='val', pipeline=test_pipeline))
test_dataloader = val_dataloader
