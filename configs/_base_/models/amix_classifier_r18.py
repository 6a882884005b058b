# The same for images of 224 pixels.
_base_ = ['./amix_classifier_r18_small.py']

model = dict(backbone=dict(type='ResNet'))
