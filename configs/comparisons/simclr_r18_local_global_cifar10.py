# Local/global CutMix, approach 2, in place of Un-Mix in unmix/simclr_r18_cifar10.py, all else equal: no paper's
# recipe, a row of a comparison.
_base_ = ['../unmix/simclr_r18_cifar10.py']

data_preprocessor = dict(mixer=dict(_delete_=True, type='mixssl.InterCutMix', alpha=1.0))
model = dict(
    region_neck=dict(type='mixssl.RegionPool', in_channels=512, out_channels=64),
    mix_head=dict(_delete_=True, type='mixssl.InterLocalGlobalHead'))
