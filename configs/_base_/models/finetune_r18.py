# A classifier whose ResNet-18 is trained on, from pre-trained weights.
_base_ = ['./linear_r18.py']

model = dict(backbone=dict(frozen_stages=-1, norm_eval=False))
