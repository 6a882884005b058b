# The same with a ResNet-50.
_base_ = ['./linear_r18.py']

model = dict(
    backbone=dict(depth=50, frozen_stages=-1, norm_eval=False), head=dict(in_channels=2048))
