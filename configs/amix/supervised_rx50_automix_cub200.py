# As supervised_rx50_cub200.py, with AutoMix's Mix Block.
# Paper (AMix, Table 2): 83.01 without mixtures, 86.56 with.
_base_ = ['./supervised_rx50_cub200.py']

model = dict(mix_block=dict(type='mixssl.MixBlock'))
