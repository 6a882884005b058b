# A classifier with AMix, ResNet-18, CIFAR-100, 800 epochs, batches of 100.
# Top-1, median of the last ten epochs. Paper (AMix, Table 2): 78.04 without mixtures, 82.20 with.
_base_ = [
    '../_base_/models/amix_classifier_r18_small.py',
    '../_base_/datasets/cifar100_labels.py',
    '../_base_/protocols/supervised_cifar100.py',
]

model = dict(head=dict(num_classes=100))
