# The same of CIFAR-10. Where the data lie: cifar10.py.
_base_ = ['./cifar100_224px_labels.py']

data_root = '{{$CIFAR10_ROOT:data/cifar10}}'
dataset_type = 'mixssl.CIFAR10'
data_preprocessor = dict(num_classes=10)

train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
test_dataloader = val_dataloader
