# ImageNet as AMix trains on it: 300 epochs, 8 devices of 25 images. Weight decay is that of the authors' code.
_base_ = ['./supervised.py']

optim_wrapper = dict(optimizer=dict(lr=0.1))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=300, by_epoch=True, begin=0, end=300),
]
train_cfg = dict(max_epochs=300)
auto_scale_lr = dict(base_batch_size=200)
