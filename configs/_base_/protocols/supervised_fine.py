# What AMix's fine-grained data sets share: 200 epochs of fine-tuning with batches of 16.
_base_ = ['./supervised.py']

# The block starts from nothing beside an encoder that is fine-tuned: ten times its learning rate. That factor and the
# weight decay are those of the authors' code, which the paper does not mention.
optim_wrapper = dict(
    optimizer=dict(lr=5e-4, weight_decay=5e-4),
    paramwise_cfg=dict(
        custom_keys={
            'mix_block': dict(lr_mult=10.0),
            'mix_block.encoding.lam_gamma': dict(lr_mult=10.0, decay_mult=0.0)
        }))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=200, by_epoch=True, begin=0, end=200),
]
train_cfg = dict(max_epochs=200)
auto_scale_lr = dict(base_batch_size=16)
