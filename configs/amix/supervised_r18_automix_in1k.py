# As supervised_r18_in1k.py, with AutoMix's Mix Block.
# Paper (AMix, Table 3): 71.83 without mixtures, 72.05 with.
_base_ = ['./supervised_r18_in1k.py']

model = dict(mix_block=dict(type='mixssl.MixBlock'))
