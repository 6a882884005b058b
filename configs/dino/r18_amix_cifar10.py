# AMix-I on DINO, all else as in r18_cifar10.py. No paper's recipe: nobody has published mixtures on DINO.
_base_ = ['./r18_cifar10.py']

data_preprocessor = dict(mixer=dict(type='mixssl.AMix'))
model = dict(
    mix_head=dict(type='mixssl.AMixHead'),
    mix_block=dict(type='mixssl.MixBlockPlus', in_channels=256, layer='layer3'))
