# As supervised_rx50_aircraft.py, with AutoMix's Mix Block.
# Paper (AMix, Table 2): 85.10 without mixtures, 86.69 with.
_base_ = ['./supervised_rx50_aircraft.py']

model = dict(mix_block=dict(type='mixssl.MixBlock'))
