# CropMix, contrastive form: a box of a large crop is pasted into a small one, in place of the query's view.
# CropMix's repository, linear evaluation, top-1: 65.8 without, 67.8 with (ScaleMix 67.2 there).
_base_ = ['./mocov2_r50_in1k.py']

# The scales from 0.2 to 1 in two equal parts: the small crop, the key's view, which has them all, the large crop.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiView',
        num_views=[1, 1, 1],
        transforms=[
            [
                dict(_base_.crop, crop_ratio_range=(0.2, 0.6)),
                _base_.jitter,
                _base_.gray,
                _base_.blur,
                _base_.flip,
            ],
            _base_.mocov2_views,
            [
                dict(_base_.crop, crop_ratio_range=(0.6, 1.0)),
                _base_.jitter,
                _base_.gray,
                _base_.blur,
                _base_.flip,
            ],
        ]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

data_preprocessor = dict(mixer=dict(type='mixssl.CropMix', crops=2, kind='cutmix'))
model = dict(mix_head=dict(type='mixssl.ScaleMixHead'))
