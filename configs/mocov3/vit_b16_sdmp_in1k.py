# SDMP on MoCo v3, ViT-B/16, ImageNet, 300 epochs: mixtures of both views against clean images and against each other,
# in place of the second direction of MoCo v3's loss.
_base_ = ['./vit_b16_in1k.py']

data_preprocessor = dict(mixer=dict(type='mixssl.SDMP'))
model = dict(symmetric=False, mix_head=dict(type='mixssl.OverlapHead', loss='log_of_sum'))
