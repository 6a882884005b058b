# As supervised_r34_in1k.py, with AutoMix's Mix Block.
# Paper (AMix, Table 3): 75.29 without mixtures, 76.10 with.
_base_ = ['./supervised_r34_in1k.py']

model = dict(mix_block=dict(type='mixssl.MixBlock'))
