# CropMix in place of Un-Mix in unmix/moco_r18_asymmetric_cifar10.py, all else equal: no paper's recipe, a row of a
# comparison.
_base_ = ['../unmix/moco_r18_asymmetric_cifar10.py']

# That recipe's scales, from 0.08 to 1, in two equal parts: the small crop, the key's view, which has them all, and the
# large crop.
train_pipeline = [
    dict(
        type='MultiView',
        num_views=[1, 1, 1],
        transforms=[
            [
                dict(type='RandomResizedCrop', scale=32, crop_ratio_range=(0.08, 0.54)),
                _base_.flip,
                _base_.jitter,
                _base_.gray,
            ],
            _base_.view_pipeline,
            [
                dict(type='RandomResizedCrop', scale=32, crop_ratio_range=(0.54, 1.0)),
                _base_.flip,
                _base_.jitter,
                _base_.gray,
            ],
        ]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

data_preprocessor = dict(mixer=dict(_delete_=True, type='mixssl.CropMix'))
model = dict(mix_head=dict(_delete_=True, type='mixssl.ScaleMixHead'))
