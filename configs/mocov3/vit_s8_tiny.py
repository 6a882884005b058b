# MoCo v3, ViT-S with patches of 8 pixels, Tiny ImageNet at 64 pixels, 800 epochs, in PatchMix's setting of CIFAR.
_base_ = [
    '../_base_/models/mocov3_vit_small.py',
    '../_base_/datasets/tiny_imagenet_vit.py',
    '../_base_/protocols/patchmix.py',
]

model = dict(backbone=dict(img_size=64, patch_size=8))
