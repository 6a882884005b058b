# As r50_amix_in1k.py, on a frozen ResNet-18.
# Paper (AMix, Table 5), top-1: MoCo v2 52.85, with AMix-I 53.47.
_base_ = ['./r50_amix_in1k.py']

model = dict(backbone=dict(depth=18), head=dict(in_channels=512))
