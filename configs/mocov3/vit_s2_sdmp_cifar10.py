# SDMP on MoCo v3, ViT-S with patches of 2 pixels, CIFAR-10, 800 epochs, in PatchMix's setting.
_base_ = ['./vit_s2_cifar10.py']

data_preprocessor = dict(mixer=dict(type='mixssl.SDMP'))
model = dict(symmetric=False, mix_head=dict(type='mixssl.OverlapHead', loss='log_of_sum'))
