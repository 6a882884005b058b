# Scenes composed of scikit-learn's digits, boxes and masks: 200 to train on, 100 of other digits to measure. Offline.
_base_ = ['./loaders.py']

load = [
    # The scenes hold their pixels. Their size stays as it is; what is wanted of this step is the factor that
    # predictions are scaled back by.
    dict(type='Resize', scale=(128, 128), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        type='mixssl.DigitScenes',
        split='train',
        num_scenes=200,
        pipeline=[*load, dict(type='PackDetInputs')]))
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        type='mixssl.DigitScenes',
        split='val',
        num_scenes=100,
        pipeline=[
            *load,
            dict(
                type='PackDetInputs',
                # The metric compares with the instances as they were painted.
                meta_keys=('img_id', 'ori_shape', 'img_shape', 'scale_factor', 'instances')),
        ]))
test_dataloader = val_dataloader

val_evaluator = dict(type='CocoMetric', metric=['bbox', 'segm'])
test_evaluator = val_evaluator
