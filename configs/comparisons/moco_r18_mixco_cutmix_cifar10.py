# MixCo and CutMix in place of Un-Mix in unmix/moco_r18_asymmetric_cifar10.py, all else equal: no paper's recipe, a row
# of a comparison.
_base_ = ['../unmix/moco_r18_asymmetric_cifar10.py']

data_preprocessor = dict(
    mixer=dict(
        _delete_=True,
        type='mixssl.Stack',
        mixers=[dict(type='mixssl.MixCo'), dict(type='mixssl.CutMix')]))
model = dict(
    mix_head=dict(
        _delete_=True,
        type='mixssl.StackHead',
        heads=[dict(type='mixssl.MixCoHead'), dict(type='mixssl.UnMixHead')]))
