# PatchMix on MoCo v3 with a ViT that a CPU can train: 96 wide, six layers, patches of 4 pixels, 200 epochs, batch 128.
# No paper's recipe, a row of a comparison.
_base_ = ['../mocov3/vit_s2_cifar10.py']

data_preprocessor = dict(mixer=dict(type='mixssl.PatchMix', patch=4))
model = dict(
    symmetric=False,
    mix_head=dict(type='mixssl.OverlapHead'),
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=96, num_layers=6, num_heads=3, feedforward_channels=384),
        patch_size=4),
    neck=dict(in_channels=96, hid_channels=512),
    head=dict(predictor=dict(hid_channels=512)))
train_dataloader = dict(batch_size=128)
auto_scale_lr = dict(base_batch_size=128)
