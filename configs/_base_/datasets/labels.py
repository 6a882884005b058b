# What data sets share that are trained and tested with their labels.
train_dataloader = dict(
    num_workers=4,
    drop_last=True,  # a mixture needs two images, and batch normalisation more
    # A worker that restarts begins its random numbers anew: every epoch would see the same crops.
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'))
val_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'))
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_dataloader = val_dataloader
test_evaluator = val_evaluator

# For backbones that were pre-trained at 224 pixels: crops of 8 % of the image or more, and flips, as MoCo's linear
# classifiers see ImageNet.
train_224px = [
    dict(type='RandomResizedCrop', scale=224, backend='pillow'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]
test_224px = [
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]
