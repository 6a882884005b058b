# MoCo v3, ViT-T with patches of 2 pixels, CIFAR-100, 800 epochs. PatchMix trains its ViT-T without a momentum
# encoder; this one has it.
_base_ = ['./vit_s2_cifar100.py']

model = dict(backbone=dict(arch='deit-tiny'), neck=dict(in_channels=192))
optim_wrapper = dict(optimizer=dict(lr=4e-3, weight_decay=0.02))
