# Un-Mix on MoCo v3, ViT-T with patches of 2 pixels, CIFAR-100, 800 epochs, in PatchMix's setting.
_base_ = ['./vit_t2_cifar100.py']

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))
