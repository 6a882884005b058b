# AMix-I on DINO, all else as in vit_s4_cifar10.py. No paper's recipe: nobody has published mixtures on DINO.
_base_ = ['./vit_s4_cifar10.py']

data_preprocessor = dict(mixer=dict(type='mixssl.AMix'))
model = dict(
    mix_head=dict(type='mixssl.AMixHead'),
    mix_block=dict(type='mixssl.MixBlockPlus', in_channels=192, layer='layers.5'))
