# STL-10, labelled and unlabelled training images together, for two views of 64 pixels, with W-MSE's milder
# views at that size. The root holds stl10_binary/; STL10_ROOT moves it.
_base_ = ['./views.py']

data_root = '{{$STL10_ROOT:data/stl10}}'
dataset_type = 'mixssl.STL10'
# RGB, 0 to 255: 0.43, 0.42, 0.39 and 0.27, 0.26, 0.27 of the code of W-MSE's authors.
data_preprocessor = dict(
    type='mixssl.InstanceMixDataPreprocessor',
    to_rgb=True,
    mean=[109.65, 107.1, 99.45],
    std=[68.85, 66.3, 68.85])

# Pillow smooths what it shrinks, as that code does.
view_pipeline = [_base_.jitter, _base_.wmse_gray, dict(_base_.wmse_crop, scale=64), _base_.flip]
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
    _base_.two_views_loader,
    num_workers=8,
    dataset=dict(
        type=dataset_type, data_root=data_root, split='train+unlabeled', pipeline=train_pipeline))
knn_bank = dict(
    _base_.knn_loader,
    dataset=dict(type=dataset_type, data_root=data_root, split='train', pipeline=test_pipeline))
knn_query = dict(
    _base_.knn_loader,
    dataset=dict(type=dataset_type, data_root=data_root, split='test', pipeline=test_pipeline))
