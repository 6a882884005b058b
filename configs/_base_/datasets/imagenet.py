# ImageNet's images as knn_bank and knn_query, for tools/evaluate/ and mixssl.KNNMonitorHook. IMAGENET_ROOT holds
# train/ and val/ with a folder for each class. A base beside any of mmpretrain's for ImageNet: no name is in both.
knn_root = '{{$IMAGENET_ROOT:data/imagenet}}'
knn_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]

knn_bank = dict(
    batch_size=256,
    num_workers=8,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='ImageNet', data_root=knn_root, split='train', pipeline=knn_pipeline))
knn_query = dict(knn_bank, dataset=dict(knn_bank['dataset'], split='val'))
