# A classifier with AMix, ResNet-18, Tiny ImageNet, 400 epochs, batches of 100.
# Top-1, median of the last ten epochs. Paper (AMix, Table 3): 61.68 without mixtures, 68.56 with.
_base_ = [
    '../_base_/models/amix_classifier_r18_small.py',
    '../_base_/datasets/tiny_imagenet_labels.py',
    '../_base_/protocols/supervised_tiny.py',
]

model = dict(head=dict(num_classes=200))
