# Fine-tuning a ResNet-50 on 10 % of ImageNet's labels. The list is the one that SimCLR's authors published
# (10percent.txt among the imagenet_subsets of google-research/simclr), for figures that compare with others';
# IMAGENET_10PCT says where it lies.
_base_ = [
    '../../_base_/models/finetune_r50.py',
    '../../_base_/mmpretrain/in1k_labels.py',
    '../../_base_/protocols/semi.py',
]

train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        _delete_=True,
        type='mixssl.ListedSubset',
        list_file='{{$IMAGENET_10PCT:data/imagenet/10percent.txt}}',
        dataset=_base_.train_dataloader.dataset))
# Plain batch normalisation where there is one process or no GPU.
model = dict(backbone=dict(norm_cfg=dict(type='SyncBN')))
