# PatchMix on MoCo v3, ViT-T with patches of 2 pixels, CIFAR-100, 800 epochs.
# PatchMix's repository: linear 74.7, k-NN 68.8, fine-tuned 84.9.
_base_ = ['./vit_t2_cifar100.py']

data_preprocessor = dict(mixer=dict(type='mixssl.PatchMix', patch=2))
model = dict(symmetric=False, mix_head=dict(type='mixssl.OverlapHead'))
