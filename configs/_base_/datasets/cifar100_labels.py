# CIFAR-100 with labels: crops of the image padded by 4 reflected pixels, and flips. Where the data lie: cifar100.py.
_base_ = ['./labels.py']

data_root = '{{$CIFAR100_ROOT:data/cifar100}}'
dataset_type = 'mixssl.CIFAR100'
data_preprocessor = dict(
    type='ClsDataPreprocessor',
    num_classes=100,
    # RGB, 0 to 255; the spread over all pixels.
    mean=[129.304, 124.070, 112.434],
    std=[68.170, 65.392, 70.418],
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
