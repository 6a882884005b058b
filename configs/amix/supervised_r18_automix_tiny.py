# As supervised_r18_tiny.py, with AutoMix's Mix Block.
# Paper (AMix, Table 3): 61.68 without mixtures, 67.33 with.
_base_ = ['./supervised_r18_tiny.py']

model = dict(mix_block=dict(type='mixssl.MixBlock'))
