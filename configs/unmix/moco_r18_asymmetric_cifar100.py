# As moco_r18_cifar100.py, asymmetric: as in the authors' code the mixture then meets the key of view 1 alone.
# Weighted k-NN with k = 200 on the output, top-1. Not in the paper; the authors' repository reports 63.64 without
# mixtures, 67.33 with.
_base_ = ['./moco_r18_cifar100.py']

model = dict(symmetric=False, mix_head=dict(pairing='cross'))
