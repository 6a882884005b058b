# Local/global CutMix, approach 2, in place of Un-Mix in unmix/byol_r18_cifar10.py, all else equal: no paper's recipe,
# a row of a comparison. Regions are predicted by a predictor of their own.
_base_ = ['../unmix/byol_r18_cifar10.py']

data_preprocessor = dict(mixer=dict(_delete_=True, type='mixssl.InterCutMix', alpha=1.0))
model = dict(
    region_neck=dict(type='mixssl.RegionPool', in_channels=512, out_channels=64),
    region_head=_base_.model.head,
    mix_head=dict(_delete_=True, type='mixssl.InterLocalGlobalHead'))
