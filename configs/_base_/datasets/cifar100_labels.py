# CIFAR-100 with labels, as cifar10_labels.py. Where the data lie: cifar100.py.
_base_ = ['./cifar10_labels.py']

data_root = '{{$CIFAR100_ROOT:data/cifar100}}'
dataset_type = 'mixssl.CIFAR100'
data_preprocessor = dict(
    num_classes=100,
    # The spread over all pixels.
    mean=[129.304, 124.070, 112.434],
    std=[68.170, 65.392, 70.418])

train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
test_dataloader = val_dataloader
