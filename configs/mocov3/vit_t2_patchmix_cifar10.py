# PatchMix on MoCo v3, ViT-T with patches of 2 pixels, CIFAR-10, 800 epochs.
# PatchMix's repository: linear 94.4, k-NN 92.9, fine-tuned 97.5.
_base_ = ['./vit_t2_cifar10.py']

data_preprocessor = dict(mixer=dict(type='mixssl.PatchMix', patch=2))
model = dict(symmetric=False, mix_head=dict(type='mixssl.OverlapHead'))
