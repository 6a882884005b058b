# How AMix trains and tests classifiers (§4.1): SGD with a cosine to 0, tested after every epoch, and what counts is the
# median of the last ten. The data's protocols add learning rate, weight decay and length.
_base_ = ['../default_runtime.py']

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', momentum=0.9, weight_decay=1e-4),
    # γ of Mix Block+, which weight decay would pull back to where it starts.
    paramwise_cfg=dict(custom_keys={'mix_block.encoding.lam_gamma': dict(decay_mult=0.0)}))

train_cfg = dict(type='EpochBasedTrainLoop', val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

default_hooks = dict(
    logger=dict(interval=100),
    median=dict(type='mixssl.MedianHook', metric='accuracy/top1', last=10))
