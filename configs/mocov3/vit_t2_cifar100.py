# MoCo v3, ViT-T with patches of 2 pixels, CIFAR-100, 800 epochs. PatchMix trains its ViT-T without a momentum
# encoder; this one has it.
_base_ = [
    '../_base_/models/mocov3_vit_small.py',
    '../_base_/datasets/cifar100.py',
    '../_base_/protocols/patchmix.py',
]

# ImageNet's, as PatchMix has them for all data.
data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
train_pipeline = [
    dict(type='MultiView', num_views=[1, 1], transforms=_base_.small_views),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

model = dict(backbone=dict(arch='deit-tiny'), neck=dict(in_channels=192))
optim_wrapper = dict(optimizer=dict(lr=4e-3, weight_decay=0.02))
