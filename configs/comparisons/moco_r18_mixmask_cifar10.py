# MixMask in place of Un-Mix in unmix/moco_r18_asymmetric_cifar10.py, all else equal: no paper's recipe, a row of a
# comparison. Cells of four pixels in place of 28.
_base_ = ['../unmix/moco_r18_asymmetric_cifar10.py']

data_preprocessor = dict(mixer=dict(_delete_=True, type='mixssl.MixMask'))
