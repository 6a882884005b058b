# As moco_r18_cifar100.py, with both views mixed alike and the mixtures compared with each other (eq. 4).
# Paper (Un-Mix, Table 6, ours 1): weighted k-NN with k = 200, 66.01.
_base_ = ['./moco_r18_cifar100.py']

data_preprocessor = dict(mixer=dict(views=(0, 1)))
model = dict(mix_head=dict(pairing='mixed'))
