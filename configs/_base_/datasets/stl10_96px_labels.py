# STL-10 with labels at its own 96 pixels: crops of 8 % of the image or more, and flips, in the normalisation of
# stl10_96px.py. Where the data lie: stl10.py.
_base_ = ['./labels.py']

data_root = '{{$STL10_ROOT:data/stl10}}'
dataset_type = 'mixssl.STL10'
data_preprocessor = dict(
    type='ClsDataPreprocessor',
    num_classes=10,
    mean=[109.65, 107.1, 99.45],
    std=[68.85, 66.3, 68.85],
    to_rgb=True)

train_pipeline = [
    dict(type='RandomResizedCrop', scale=96),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='PackInputs')]

train_dataloader = dict(
    batch_size=256,
    dataset=dict(type=dataset_type, data_root=data_root, split='train', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=500,
    dataset=dict(type=dataset_type, data_root=data_root, split='test', pipeline=test_pipeline))
test_dataloader = val_dataloader
