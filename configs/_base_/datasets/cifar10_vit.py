# CIFAR-10 for ViTs, with PatchMix's augmentation of small images.
_base_ = ['./cifar10.py', './views_vit.py']

# ImageNet's, as PatchMix has them for all data.
data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])

train_pipeline = _base_.small_views
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
