# A classifier with AMix, ResNeXt-50 (32x4d), FGVC-Aircraft, from torchvision's ImageNet weights, 200 epochs,
# batches of 16.
# Top-1, median of the last ten epochs. Paper (AMix, Table 2): 85.10 without mixtures, 86.80 with.
_base_ = [
    '../_base_/models/amix_classifier_rx50.py',
    '../_base_/datasets/aircraft_labels.py',
    '../_base_/protocols/supervised_fine.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnext50_32x4d')),
    head=dict(num_classes=100))
