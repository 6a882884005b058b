# Tiny ImageNet enlarged to 224 pixels, with labels.
_base_ = ['./tiny_imagenet_labels.py']

train_pipeline = [dict(type='LoadImageFromFile'), *_base_.train_224px]
test_pipeline = [dict(type='LoadImageFromFile'), *_base_.test_224px]

train_dataloader = dict(batch_size=256, num_workers=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=256, num_workers=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
