# AdamW over 100 epochs as DINO trains ViTs on ImageNet: 10 epochs of warm-up, a cosine to 1e-6, weight decay tenfold
# along a cosine, none on norms and biases, each gradient clipped by itself. lr 5e-4 for a total batch of 256.
optim_wrapper = dict(
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.04),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0))
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        by_epoch=True,
        begin=0,
        end=10,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=90,
        eta_min=1e-6,
        by_epoch=True,
        begin=10,
        end=100,
        convert_to_iter_based=True),
    # A ratio, so that what has no decay keeps none.
    dict(
        type='CosineAnnealingParamScheduler',
        param_name='weight_decay',
        T_max=100,
        eta_min_ratio=10.0,
        by_epoch=True,
        begin=0,
        end=100,
        convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100)
auto_scale_lr = dict(base_batch_size=1024)
