# Un-Mix in the setting of moco_r18_inter_cifar10.py, its rival in the table.
# Paper (local/global CutMix, Table 1, "MoCo + Un-Mix"): 88.97 without mixtures, 91.34 with, which is also what Un-Mix's
# authors report for 20 times this learning rate (unmix/moco_r18_asymmetric_cifar10.py).
_base_ = ['../unmix/moco_r18_asymmetric_cifar10.py']

optim_wrapper = dict(optimizer=dict(lr=3e-3, weight_decay=1e-4))
