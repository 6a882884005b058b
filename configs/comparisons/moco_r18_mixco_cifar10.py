# MixCo in place of Un-Mix in unmix/moco_r18_cifar10.py, all else equal: no paper's recipe, a row of a comparison.
_base_ = ['../unmix/moco_r18_cifar10.py']

data_preprocessor = dict(mixer=dict(_delete_=True, type='mixssl.MixCo'))
model = dict(mix_head=dict(_delete_=True, type='mixssl.MixCoHead', temperature=0.05))
