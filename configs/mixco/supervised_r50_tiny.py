# As supervised_r34_tiny.py, with a ResNet-50.
# Paper (MixCo, Table 1): 67.03.
_base_ = ['./supervised_r34_tiny.py']

model = dict(backbone=dict(depth=50), head=dict(in_channels=2048))
