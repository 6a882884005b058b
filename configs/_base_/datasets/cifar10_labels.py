# CIFAR-10 with labels, as cifar100_labels.py. Where the data lie: cifar10.py.
_base_ = ['./cifar100_labels.py']

data_root = '{{$CIFAR10_ROOT:data/cifar10}}'
dataset_type = 'mixssl.CIFAR10'
data_preprocessor = dict(
    num_classes=10, mean=[125.307, 122.961, 113.858], std=[51.587, 50.847, 51.255])

train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
test_dataloader = val_dataloader
