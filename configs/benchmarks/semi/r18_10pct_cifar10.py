# Fine-tuning the ResNet-18 of the CIFAR recipes on 10 % of CIFAR-10's labels, drawn from a seed, the same share of
# every class.
_base_ = [
    '../../_base_/models/finetune_r18.py',
    '../../_base_/datasets/cifar10_labels.py',
    '../../_base_/protocols/semi.py',
]

train_dataloader = dict(
    batch_size=256,
    dataset=dict(
        _delete_=True,
        type='mixssl.ClassBalancedSubset',
        fraction=0.1,
        seed=0,
        dataset=_base_.train_dataloader.dataset))
model = dict(backbone=dict(type='ResNet_CIFAR'), head=dict(num_classes=10))
