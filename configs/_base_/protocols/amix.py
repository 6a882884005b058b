# AMix's protocol for small images, MoCo v2's settings (§4.2): a total batch of 256, 400 epochs, and none of the weight
# decay for Mix Block's γ, which it would pull back to where it starts.
_base_ = ['../default_runtime.py']

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'mix_block.encoding.lam_gamma': dict(decay_mult=0.0)}))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=400, by_epoch=True, begin=0, end=400),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=400)
auto_scale_lr = dict(base_batch_size=256)

default_hooks = dict(knn=dict(type='mixssl.KNNMonitorHook', k=200, interval=20))
