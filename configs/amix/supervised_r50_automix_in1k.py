# As supervised_r50_in1k.py, with AutoMix's Mix Block.
# Paper (AMix, Table 3): 77.35 without mixtures, 79.25 with.
_base_ = ['./supervised_r50_in1k.py']

model = dict(mix_block=dict(type='mixssl.MixBlock'))
