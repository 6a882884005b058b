# As wmse2_r18_cifar10.py, with both views mixed alike and the mixtures compared with each other (eq. 4).
# Paper (Un-Mix, Table 6, ours 1): linear 92.77 and 5-NN 91.06.
_base_ = ['./wmse2_r18_cifar10.py']

data_preprocessor = dict(mixer=dict(views=(0, 1)))
model = dict(mix_head=dict(pairing='mixed'))
