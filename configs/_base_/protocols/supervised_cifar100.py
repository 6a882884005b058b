# CIFAR-100 as AMix trains on it: 800 epochs, batches of 100.
_base_ = ['./supervised.py']

optim_wrapper = dict(optimizer=dict(lr=0.1))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=800, by_epoch=True, begin=0, end=800),
]
train_cfg = dict(max_epochs=800)
auto_scale_lr = dict(base_batch_size=100)
