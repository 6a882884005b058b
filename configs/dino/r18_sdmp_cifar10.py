# SDMP's mixtures on DINO, all else as in r18_cifar10.py. No paper's recipe: nobody has published mixtures on DINO.
_base_ = ['./r18_cifar10.py']

data_preprocessor = dict(mixer=dict(type='mixssl.SDMP'))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))
