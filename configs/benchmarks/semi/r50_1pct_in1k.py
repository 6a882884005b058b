# Fine-tuning a ResNet-50 on 1 % of ImageNet's labels. The list is the one that SimCLR's authors published
# (1percent.txt among the imagenet_subsets of google-research/simclr), for figures that compare with others';
# IMAGENET_1PCT says where it lies.
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
        list_file='{{$IMAGENET_1PCT:data/imagenet/1percent.txt}}',
        dataset=_base_.train_dataloader.dataset))

# The classifier starts at lr 5, the backbone at 0.02.
optim_wrapper = dict(
    optimizer=dict(lr=0.02), paramwise_cfg=dict(custom_keys={'head.': dict(lr_mult=250.0)}))
