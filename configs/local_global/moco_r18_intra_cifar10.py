# As moco_r18_inter_cifar10.py, approach 1: the two views of an image mixed with each other.
# Paper (local/global CutMix, Table 1): 88.97 without mixtures, 90.15 with. It tells no value of λ in its eq. 7.
_base_ = ['./moco_r18_inter_cifar10.py']

data_preprocessor = dict(mixer=dict(type='mixssl.IntraCutMix'))
model = dict(mix_head=dict(type='mixssl.IntraLocalGlobalHead', lam=0.5))
