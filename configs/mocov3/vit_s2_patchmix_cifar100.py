# PatchMix on MoCo v3, ViT-S with patches of 2 pixels, CIFAR-100, 800 epochs.
# PatchMix's repository: linear 78.7, k-NN 75.4, fine-tuned 86.0.
_base_ = ['./vit_s2_cifar100.py']

data_preprocessor = dict(mixer=dict(type='mixssl.PatchMix', patch=2))
model = dict(symmetric=False, mix_head=dict(type='mixssl.OverlapHead'))
