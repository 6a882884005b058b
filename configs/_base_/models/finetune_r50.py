# The same with a ResNet-50.
_base_ = ['./linear_r50.py']

model = dict(backbone=dict(frozen_stages=-1, norm_eval=False))
