# As mocov2_r50_in1k.py, at two sizes with a queue each, the losses summed.
# Paper (Un-Mix, Table 4), linear evaluation, top-1: MoCo v2 67.5, with Un-Mix 68.6, at several sizes 69.8.
# Neither the paper nor its authors' code tells the sizes: those of SwAV's crops are taken, which the paper builds on.
# Small crops hold from a twentieth of the image up to the fifth where the large ones begin.
_base_ = ['./mocov2_r50_in1k.py']

small_view_pipeline = [
    dict(
        type='RandomResizedCrop',
        scale=96,
        crop_ratio_range=(0.05, 0.2),
        backend='pillow'),
    # As mmpretrain has them for the large views.
    dict(
        type='RandomApply',
        prob=0.8,
        transforms=[
            dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
        ]),
    dict(
        type='RandomGrayscale',
        prob=0.2,
        keep_channels=True,
        channel_weights=(0.114, 0.587, 0.2989)),
    dict(type='GaussianBlur', magnitude_range=(0.1, 2.0), magnitude_std='inf', prob=0.5),
    dict(type='RandomFlip', prob=0.5),
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiView',
        num_views=[2, 2],
        transforms=[_base_.view_pipeline, small_view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

data_preprocessor = dict(
    mixer=dict(
        _delete_=True,
        type='mixssl.MultiScale',
        scales=2,
        mixer=dict(type='mixssl.UnMix', alpha=1.0, p_global=0.0)))
model = dict(
    extra_sizes=(96, ),
    mix_head=dict(
        _delete_=True,
        type='mixssl.MultiScaleHead',
        head=dict(type='mixssl.UnMixHead')))
