# Un-Mix on MoCo v3, ViT-B/16, ImageNet, 300 epochs. No paper's recipe: Un-Mix has ResNets.
_base_ = ['./vit_b16_in1k.py']

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))
