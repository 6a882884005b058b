# CIFAR-100 with the views of cifar10_wmse.py.
_base_ = ['./cifar10_wmse.py']

data_root = '{{$CIFAR100_ROOT:data/cifar100}}'
dataset_type = 'mixssl.CIFAR100'
data_preprocessor = dict(mean=[129.304, 124.070, 112.434], std=[68.170, 65.392, 70.418])

train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
knn_bank = dict(dataset=dict(type=dataset_type, data_root=data_root))
knn_query = dict(dataset=dict(type=dataset_type, data_root=data_root))
