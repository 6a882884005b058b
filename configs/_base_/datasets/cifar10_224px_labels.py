# CIFAR-10 enlarged to 224 pixels, with labels, for a backbone that was pre-trained at that size, in the normalisation
# of its pre-training.
_base_ = ['./cifar10_labels.py']

data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])

train_pipeline = _base_.train_224px
test_pipeline = _base_.test_224px

train_dataloader = dict(batch_size=256, num_workers=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=256, num_workers=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
