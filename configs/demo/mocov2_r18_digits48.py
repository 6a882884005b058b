# MoCo v2 on digits large enough for the stem that detectors have: what `make demo-det` fine-tunes.
_base_ = ['./mocov2_r18_digits.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',  # 7x7 stem of stride 2 and pooling: 48 pixels are 2x2 in the last stage, as 16 are in the demo
        depth=18,
        stem_channels=16,
        base_channels=16,
        norm_cfg=dict(type='BN'),
        zero_init_residual=False))

train_dataloader = dict(dataset=dict(size=48))
knn_bank = dict(dataset=dict(size=48))
knn_query = dict(dataset=dict(size=48))
