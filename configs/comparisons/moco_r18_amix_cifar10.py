# AMix-I in place of Un-Mix in unmix/moco_r18_cifar10.py, all else equal: no paper's recipe, a row of a comparison. The
# block reads the third of four stages.
_base_ = ['../unmix/moco_r18_cifar10.py']

data_preprocessor = dict(mixer=dict(_delete_=True, type='mixssl.AMix', alpha=2.0))
model = dict(
    mix_block=dict(type='mixssl.MixBlockPlus', in_channels=256),
    mix_head=dict(_delete_=True, type='mixssl.AMixHead'))
