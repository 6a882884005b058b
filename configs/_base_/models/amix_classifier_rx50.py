# The same with a ResNeXt-50 (32x4d).
_base_ = ['./amix_classifier_r18_small.py']

model = dict(
    backbone=dict(type='ResNeXt', depth=50, groups=32, width_per_group=4),
    head=dict(in_channels=2048),
    mix_block=dict(in_channels=1024))
