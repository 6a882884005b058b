# As supervised_r18_cifar100.py, with AutoMix's Mix Block.
# Paper (AMix, Table 2): 78.04 without mixtures, 82.04 with.
_base_ = ['./supervised_r18_cifar100.py']

model = dict(mix_block=dict(type='mixssl.MixBlock'))
