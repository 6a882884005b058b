# The same with a ResNet-50.
_base_ = ['./amix_classifier_r18_small.py']

model = dict(
    backbone=dict(type='ResNet', depth=50),
    head=dict(in_channels=2048),
    mix_block=dict(in_channels=1024))
