# As supervised_r18_cub200.py, with AutoMix's Mix Block.
# Paper (AMix, Table 2): 77.68 without mixtures, 79.87 with.
_base_ = ['./supervised_r18_cub200.py']

model = dict(mix_block=dict(type='mixssl.MixBlock'))
