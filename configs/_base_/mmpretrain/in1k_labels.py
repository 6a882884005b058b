# mmpretrain's ImageNet with labels, made fit for mixssl; 8 devices of 25 images.
_base_ = ['mmpretrain::_base_/datasets/imagenet_bs32.py']

data_preprocessor = dict(type='ClsDataPreprocessor')

train_dataloader = dict(
    batch_size=25,
    num_workers=5,
    drop_last=True,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'))
val_dataloader = dict(
    batch_size=64, persistent_workers=True, collate_fn=dict(type='default_collate'))
test_dataloader = val_dataloader
