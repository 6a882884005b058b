# As supervised_r101_in1k.py, with AutoMix's Mix Block.
# Paper (AMix, Table 3): 78.91 without mixtures, 80.98 with.
_base_ = ['./supervised_r101_in1k.py']

model = dict(mix_block=dict(type='mixssl.MixBlock'))
