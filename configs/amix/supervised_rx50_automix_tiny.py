# As supervised_rx50_tiny.py, with AutoMix's Mix Block.
# Paper (AMix, Table 3): 65.04 without mixtures, 70.72 with.
_base_ = ['./supervised_rx50_tiny.py']

model = dict(mix_block=dict(type='mixssl.MixBlock'))
