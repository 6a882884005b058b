# Un-Mix on the VICReg of r50_in1k.py, all else equal: no paper's recipe.
_base_ = ['./r50_in1k.py']

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.0))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))
