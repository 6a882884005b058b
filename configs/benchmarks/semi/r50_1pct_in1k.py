# As r50_10pct_in1k.py, on 1 % of the labels, 1percent.txt; IMAGENET_1PCT says where it lies. The classifier starts at
# lr 5, the backbone at 0.02.
_base_ = ['./r50_10pct_in1k.py']

train_dataloader = dict(
    dataset=dict(list_file='{{$IMAGENET_1PCT:data/imagenet/1percent.txt}}'))
optim_wrapper = dict(
    optimizer=dict(lr=0.02), paramwise_cfg=dict(custom_keys={'head.': dict(lr_mult=250.0)}))
