# The transforms that views are made of, each by its name, the views of several papers, and the loaders of data sets
# that are trained on two views. Pipelines elsewhere are lists of these names; a data set of other pixels changes the
# crop's scale. No runner reads these names, so this base goes beside any other.
crop = dict(type='RandomResizedCrop', scale=224, crop_ratio_range=(0.2, 1.0), backend='pillow')
flip = dict(type='RandomFlip', prob=0.5)
jitter = dict(
    type='RandomApply',
    prob=0.8,
    transforms=[
        # OpenCV: half the time of Pillow, and within one level of it (hue: ten).
        dict(
            type='ColorJitter',
            brightness=0.4,
            contrast=0.4,
            saturation=0.4,
            hue=0.1,
            backend='cv2')
    ])
gray = dict(
    type='RandomGrayscale',
    prob=0.2,
    keep_channels=True,
    channel_weights=(0.114, 0.587, 0.2989))
blur = dict(type='GaussianBlur', magnitude_range=(0.1, 2.0), magnitude_std='inf', prob=0.5)

mocov2_views = [crop, jitter, gray, blur, flip]

# The milder views that W-MSE's authors give their SimCLR, BYOL and W-MSE, and that Un-Mix keeps.
wmse_crop = dict(crop, interpolation='bicubic')
wmse_gray = dict(gray, prob=0.1)

# What MoCo v3 and DINO do to their two views: one is blurred always, the other seldom, and solarised at times.
vit_crop = dict(
    type='RandomResizedCrop',
    scale=224,
    crop_ratio_range=(0.08, 1.0),
    interpolation='bicubic',
    backend='pillow')
vit_jitter = dict(
    type='RandomApply',
    prob=0.8,
    transforms=[
        dict(
            type='ColorJitter',
            brightness=0.4,
            contrast=0.4,
            saturation=0.2,
            hue=0.1,
            backend='cv2')
    ])
vit_colours = [vit_jitter, gray, flip]
vit_blur = dict(blur, prob=1.0)
vit_solarize = dict(type='Solarize', thr=128, prob=0.2)

vit_view_0 = [*vit_colours, vit_blur]
vit_view_1 = [*vit_colours, dict(vit_blur, prob=0.1), vit_solarize]

# The two views of small images, as PatchMix has them.
small_crop = dict(vit_crop, scale=32, crop_ratio_range=(0.1, 1.0))
small_views = [[small_crop, *vit_view_0], [small_crop, *vit_view_1]]

two_views_loader = dict(
    batch_size=512,
    num_workers=4,
    drop_last=True,
    # A worker that restarts begins its random numbers anew: every epoch would see the same views.
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'))
# For mixssl.KNNMonitorHook: neighbours come from the bank, accuracy from the query.
knn_loader = dict(
    batch_size=512,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'))
