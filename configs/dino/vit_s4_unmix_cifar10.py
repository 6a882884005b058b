# Un-Mix on DINO, all else as in vit_s4_cifar10.py. No paper's recipe: nobody has published mixtures on DINO.
_base_ = ['./vit_s4_cifar10.py']

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))
