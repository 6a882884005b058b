# As supervised_rx50_cifar100.py, with AutoMix's Mix Block.
# Paper (AMix, Table 2): 81.09 without mixtures, 83.64 with.
_base_ = ['./supervised_rx50_cifar100.py']

model = dict(mix_block=dict(type='mixssl.MixBlock'))
