# AdamW as ViTs are trained with it: a warm-up, a cosine to 1e-6, weight decay tenfold along a cosine, none on norms and
# biases. Whole as PatchMix has it on small images, 800 epochs, lr 5e-4 for a total batch of 256; other lengths are
# made of the same three schedules.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.04),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0))

warm_up = dict(
    type='LinearLR', start_factor=1e-4, by_epoch=True, begin=0, convert_to_iter_based=True)
cosine = dict(
    type='CosineAnnealingLR', eta_min=1e-6, by_epoch=True, convert_to_iter_based=True)
decay = dict(
    type='CosineAnnealingParamScheduler',
    param_name='weight_decay',
    eta_min_ratio=10.0,  # a ratio, so that what has no decay keeps none
    by_epoch=True,
    begin=0,
    convert_to_iter_based=True)
param_scheduler = [
    dict(warm_up, end=100),
    dict(cosine, T_max=700, begin=100, end=800),
    dict(decay, T_max=800, end=800),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=800)
auto_scale_lr = dict(base_batch_size=512)
