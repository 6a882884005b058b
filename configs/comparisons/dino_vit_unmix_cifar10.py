# Un-Mix on DINO with a ViT that a CPU can train: 96 wide, six layers, patches of 4 pixels, two views, batch 128.
# No paper's recipe, a row of a comparison.
_base_ = ['../dino/vit_s4_cifar10.py']

train_pipeline = [
    dict(type='MultiView', num_views=2, transforms=[_base_.global_views]),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=128, dataset=dict(pipeline=train_pipeline))

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
model = dict(
    mix_head=dict(type='mixssl.UnMixHead'),
    backbone=dict(
        arch=dict(embed_dims=96, num_layers=6, num_heads=3, feedforward_channels=384),
        drop_path_rate=0.0),
    neck=dict(in_channels=96, hid_channels=512))
optim_wrapper = dict(optimizer=dict(lr=5e-4))
auto_scale_lr = dict(base_batch_size=128)
