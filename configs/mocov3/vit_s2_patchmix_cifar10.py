# PatchMix on MoCo v3, ViT-S with patches of 2 pixels, CIFAR-10, 800 epochs.
# PatchMix's repository: linear 96.0, k-NN 94.6, fine-tuned 98.1.
_base_ = ['./vit_s2_cifar10.py']

data_preprocessor = dict(mixer=dict(type='mixssl.PatchMix', patch=2))
model = dict(symmetric=False, mix_head=dict(type='mixssl.OverlapHead'))
