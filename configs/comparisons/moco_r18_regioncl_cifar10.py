# RegionCL in place of Un-Mix in unmix/moco_r18_asymmetric_cifar10.py, all else equal: no paper's recipe, a row of a
# comparison. Two or three of the map's four cells in place of three to five of seven.
_base_ = ['../unmix/moco_r18_asymmetric_cifar10.py']

data_preprocessor = dict(
    mixer=dict(_delete_=True, type='mixssl.RegionCL', stride=8, cells=(2, 3)))
model = dict(mix_head=dict(_delete_=True, type='mixssl.RegionCLHead'))
