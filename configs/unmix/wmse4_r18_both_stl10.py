# As wmse4_r18_stl10.py, with both views mixed alike and the mixtures compared with each other (eq. 4).
# Paper (Un-Mix, Table 6, ours 1): linear 90.95 and 5-NN 87.86.
_base_ = ['./wmse4_r18_stl10.py']

data_preprocessor = dict(mixer=dict(views=(0, 1)))
model = dict(mix_head=dict(pairing='mixed'))
