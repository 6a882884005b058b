# As supervised_r18_aircraft.py, with AutoMix's Mix Block.
# Paper (AMix, Table 2): 80.23 without mixtures, 81.37 with.
_base_ = ['./supervised_r18_aircraft.py']

model = dict(mix_block=dict(type='mixssl.MixBlock'))
