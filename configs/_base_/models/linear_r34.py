# The same on a ResNet-34.
_base_ = ['./linear_r18.py']

model = dict(backbone=dict(depth=34))
