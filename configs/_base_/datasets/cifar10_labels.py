# CIFAR-10 with labels: crops of the image padded by 4 reflected pixels, and flips. Where the data lie: cifar10.py.
_base_ = ['./labels.py']

data_root = '{{$CIFAR10_ROOT:data/cifar10}}'
dataset_type = 'mixssl.CIFAR10'
data_preprocessor = dict(
    type='ClsDataPreprocessor',
    num_classes=10,
    # RGB, 0 to 255; the spread of cifar10.py.
    mean=[125.307, 122.961, 113.858],
    std=[51.587, 50.847, 51.255],
    to_rgb=True)

train_pipeline = [
    dict(type='RandomCrop', crop_size=32, padding=4, padding_mode='reflect'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='PackInputs')]

train_dataloader = dict(
    batch_size=100,
    dataset=dict(type=dataset_type, data_root=data_root, split='train', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=500,
    dataset=dict(type=dataset_type, data_root=data_root, split='test', pipeline=test_pipeline))
test_dataloader = val_dataloader
