# As wmse2_r18_cifar100.py, with both views mixed alike and the mixtures compared with each other (eq. 4).
# Paper (Un-Mix, Table 6, ours 1): linear 69.44 and 5-NN 59.16.
_base_ = ['./wmse2_r18_cifar100.py']

data_preprocessor = dict(mixer=dict(views=(0, 1)))
model = dict(mix_head=dict(pairing='mixed'))
