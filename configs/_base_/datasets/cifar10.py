# CIFAR-10 for two views, with the augmentation of the small-image MoCo recipes (Un-Mix's CIFAR setting).
# The root holds either cifar-10-batches-py/ or train/<class>/ and test/<class>/; CIFAR10_ROOT moves it.
_base_ = ['./views.py']

data_root = '{{$CIFAR10_ROOT:data/cifar10}}'
dataset_type = 'mixssl.CIFAR10'

data_preprocessor = dict(
    type='mixssl.InstanceMixDataPreprocessor',
    to_rgb=True,
    # RGB, 0 to 255. The recipe's spread (mean spread within an image), not that over all pixels (63.0, 62.1, 66.7).
    mean=[125.307, 122.961, 113.858],
    std=[51.587, 50.847, 51.255])

view_pipeline = [
    dict(type='RandomResizedCrop', scale=32, crop_ratio_range=(0.08, 1.0)),
    _base_.flip,
    _base_.jitter,
    _base_.gray,
]
train_pipeline = [
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='PackInputs')]

train_dataloader = dict(
    _base_.two_views_loader,
    dataset=dict(type=dataset_type, data_root=data_root, split='train', pipeline=train_pipeline))
knn_bank = dict(
    _base_.knn_loader,
    dataset=dict(type=dataset_type, data_root=data_root, split='train', pipeline=test_pipeline))
knn_query = dict(
    _base_.knn_loader,
    dataset=dict(type=dataset_type, data_root=data_root, split='test', pipeline=test_pipeline))
