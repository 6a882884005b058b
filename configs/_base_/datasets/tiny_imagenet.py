# Tiny ImageNet for two views of 64 pixels, with W-MSE's milder views. The root holds tiny-imagenet-200/, or its
# content; TINY_IMAGENET_ROOT moves it.
_base_ = ['./views.py']

data_root = '{{$TINY_IMAGENET_ROOT:data/tiny-imagenet-200}}'
dataset_type = 'mixssl.TinyImageNet'
# RGB, 0 to 255: 0.480, 0.448, 0.398 and 0.277, 0.269, 0.282 of the code of W-MSE's authors.
data_preprocessor = dict(
    type='mixssl.InstanceMixDataPreprocessor',
    to_rgb=True,
    mean=[122.4, 114.24, 101.49],
    std=[70.635, 68.595, 71.91])

# Pillow smooths what it shrinks, as that code does.
view_pipeline = [_base_.jitter, _base_.wmse_gray, dict(_base_.wmse_crop, scale=64), _base_.flip]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]

train_dataloader = dict(
    _base_.two_views_loader,
    num_workers=8,
    dataset=dict(type=dataset_type, data_root=data_root, split='train', pipeline=train_pipeline))
knn_bank = dict(
    _base_.knn_loader,
    dataset=dict(type=dataset_type, data_root=data_root, split='train', pipeline=test_pipeline))
knn_query = dict(
    _base_.knn_loader,
    dataset=dict(type=dataset_type, data_root=data_root, split='val', pipeline=test_pipeline))
