# CutMix on DINO, all else as in vit_s4_cifar10.py. No paper's recipe: nobody has published mixtures on DINO.
_base_ = ['./vit_s4_cifar10.py']

data_preprocessor = dict(mixer=dict(type='mixssl.CutMix'))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))
