# Un-Mix on SwAV, ResNet-50, ImageNet, 200 epochs, 8 devices of 32 images, two crops of 224 and six of 96 pixels, by the
# code that Un-Mix's authors published. Their paper has no figure of it.
_base_ = ['../_base_/mmpretrain/swav_r50_in1k.py']

data_preprocessor = dict(
    # The first of each pair of crops, regions only. Each size has a box and a λ of its own, where that code weighs all
    # sizes by the last λ.
    mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.0, views=(0, 2, 4, 6)))
# Mixtures also have codes, as there, which the other crops predict.
model = dict(mix_head=dict(type='mixssl.UnMixHead', pairing='mutual'))
