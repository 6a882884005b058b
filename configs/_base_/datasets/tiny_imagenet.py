# Tiny ImageNet for two views of 64 pixels, with the views of stl10.py. The root holds tiny-imagenet-200/, or its
# content; TINY_IMAGENET_ROOT moves it.
_base_ = ['./stl10.py']

data_root = '{{$TINY_IMAGENET_ROOT:data/tiny-imagenet-200}}'
dataset_type = 'mixssl.TinyImageNet'
# RGB, 0 to 255: 0.480, 0.448, 0.398 and 0.277, 0.269, 0.282 of the code of W-MSE's authors.
data_preprocessor = dict(mean=[122.4, 114.24, 101.49], std=[70.635, 68.595, 71.91])

train_pipeline = [dict(type='LoadImageFromFile'), *_base_.train_pipeline]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]

train_dataloader = dict(
    dataset=dict(type=dataset_type, data_root=data_root, split='train', pipeline=train_pipeline))
knn_bank = dict(
    dataset=dict(type=dataset_type, data_root=data_root, split='train', pipeline=test_pipeline))
knn_query = dict(
    dataset=dict(type=dataset_type, data_root=data_root, split='val', pipeline=test_pipeline))
