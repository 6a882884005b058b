# A classifier with AMix, ResNet-18, CUB-200, from torchvision's ImageNet weights, 200 epochs, batches of 16.
# Top-1, median of the last ten epochs. Paper (AMix, Table 2): 77.68 without mixtures, 81.11 with.
_base_ = [
    '../_base_/models/amix_classifier_r18.py',
    '../_base_/datasets/cub200_labels.py',
    '../_base_/protocols/supervised_fine.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18')),
    head=dict(num_classes=200))
