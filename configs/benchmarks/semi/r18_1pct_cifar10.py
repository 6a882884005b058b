# As r18_10pct_cifar10.py, on 1 % of the labels: 500 images, so batches are smaller.
_base_ = ['./r18_10pct_cifar10.py']

train_dataloader = dict(batch_size=64, dataset=dict(fraction=0.01))
