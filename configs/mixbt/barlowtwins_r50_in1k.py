# Mixed Barlow Twins, ResNet-50, ImageNet, 300 epochs, 8 devices of 128 images.
# Their repository, linear evaluation, top-1: Barlow Twins 71.3, with mixtures 72.2.
_base_ = ['../_base_/mmpretrain/barlowtwins_r50_in1k.py']

train_dataloader = dict(batch_size=128)

data_preprocessor = dict(mixer=dict(type='mixssl.MixUp', alpha=1.0, partner_view=1))
# The ImageNet code weighs its term by 1, and halves it.
model = dict(
    mix_head=dict(type='mixssl.BlendHead', pairing='own', loss_weight=0.5, warmup_epochs=10))

optim_wrapper = dict(optimizer=dict(lr=0.8))
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1.6e-4,
        by_epoch=True,
        begin=0,
        end=10,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=290,
        eta_min=0.0008,
        by_epoch=True,
        begin=10,
        end=300,
        convert_to_iter_based=True),
]
