# Fine-tuning a pre-trained ResNet-50 to FGVC-Aircraft with the settings of AMix's fine-grained classifiers: 200
# epochs, batches of 16, lr 5e-4. The papers have no figures for self-supervised backbones there.
_base_ = [
    '../../_base_/models/finetune_r50.py',
    '../../_base_/datasets/aircraft_labels.py',
    '../../_base_/protocols/supervised_fine.py',
]

model = dict(head=dict(num_classes=100))
