# Un-Mix on the VICReg of r18_cifar10.py, all else equal: no paper's recipe.
_base_ = ['./r18_cifar10.py']

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))
