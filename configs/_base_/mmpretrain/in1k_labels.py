# mmpretrain's ImageNet with labels, made fit for mixssl; 8 devices of 25 images. IMAGENET_ROOT holds train/ and val/
# with a folder for each class.
_base_ = ['mmpretrain::_base_/datasets/imagenet_bs32.py']

data_root = '{{$IMAGENET_ROOT:data/imagenet}}'
data_preprocessor = dict(type='ClsDataPreprocessor')

train_dataloader = dict(
    batch_size=25,
    num_workers=5,
    drop_last=True,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    dataset=dict(data_root=data_root))
val_dataloader = dict(
    batch_size=64,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
