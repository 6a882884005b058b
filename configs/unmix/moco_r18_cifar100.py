# As moco_r18_cifar10.py, on CIFAR-100.
# Weighted k-NN with k = 200 on the output, top-1. Paper (Un-Mix, Table 3): 65.49 without mixtures, 68.83 with. The
# authors' repository adds the asymmetric setting (model.symmetric=False): 63.64 and 67.33.
_base_ = [
    '../_base_/models/moco_r18_small.py',
    '../_base_/datasets/cifar100.py',
    '../_base_/schedules/sgd_cos_1000e.py',
    '../_base_/default_runtime.py',
]
