# Un-Mix on DINO, all else as in vit_s16_in1k.py. No paper's recipe: nobody has published mixtures on DINO.
_base_ = ['./vit_s16_in1k.py']

data_preprocessor = dict(mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5))
model = dict(mix_head=dict(type='mixssl.UnMixHead'))
