# ScaleMix in place of the clean query, beside the Un-Mix of unmix/moco_r18_asymmetric_cifar10.py, all else equal: no
# paper's recipe, a row of a comparison.
_base_ = ['../unmix/moco_r18_asymmetric_cifar10.py']

train_pipeline = [
    dict(type='MultiView', num_views=3, transforms=[_base_.view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

data_preprocessor = dict(
    mixer=dict(
        _delete_=True,
        type='mixssl.Stack',
        mixers=[
            dict(type='mixssl.UnMix', alpha=1.0, p_global=0.5),
            dict(type='mixssl.ScaleMix'),
        ]))
model = dict(
    mix_head=dict(
        _delete_=True,
        type='mixssl.StackHead',
        heads=[dict(type='mixssl.UnMixHead'), dict(type='mixssl.ScaleMixHead')]))
