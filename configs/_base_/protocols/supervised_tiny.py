# Tiny ImageNet as AMix trains on it: 400 epochs, batches of 100. Weight decay is that of the authors' code.
_base_ = ['./supervised.py']

optim_wrapper = dict(optimizer=dict(lr=0.2))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=400, by_epoch=True, begin=0, end=400),
]
train_cfg = dict(max_epochs=400)
auto_scale_lr = dict(base_batch_size=100)
