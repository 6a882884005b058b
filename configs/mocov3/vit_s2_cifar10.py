# MoCo v3, ViT-S with patches of 2 pixels, CIFAR-10, 800 epochs.
# Without a mixture: PatchMix's setting, and its baseline.
_base_ = [
    '../_base_/models/mocov3_vit_small.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/protocols/patchmix.py',
]

# ImageNet's, as PatchMix has them for all data.
data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
train_pipeline = [
    dict(type='MultiView', num_views=[1, 1], transforms=_base_.small_views),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
