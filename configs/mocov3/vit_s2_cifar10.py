# MoCo v3, ViT-S with patches of 2 pixels, CIFAR-10, 800 epochs.
# Without a mixture: PatchMix's setting, and its baseline.
_base_ = [
    '../_base_/models/mocov3_vit_small.py',
    '../_base_/datasets/cifar10_vit.py',
    '../_base_/schedules/adamw_cos_800e.py',
    '../_base_/monitored_200nn.py',
]
