# What MoCo v3 and DINO do to their two views behind the crop: one is blurred always, the other seldom, and solarised at
# times. A data set's own file puts its crop in front.
vit_crop = dict(
    type='RandomResizedCrop',
    scale=224,
    crop_ratio_range=(0.08, 1.0),
    interpolation='bicubic',
    backend='pillow')
vit_colours = [
    dict(
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
        ]),
    dict(
        type='RandomGrayscale',
        prob=0.2,
        keep_channels=True,
        channel_weights=(0.114, 0.587, 0.2989)),
    dict(type='RandomFlip', prob=0.5),
]
vit_blur = dict(type='GaussianBlur', magnitude_range=(0.1, 2.0), magnitude_std='inf', prob=1.0)
vit_solarize = dict(type='Solarize', thr=128, prob=0.2)

vit_view_0 = [*vit_colours, vit_blur]
vit_view_1 = [*vit_colours, dict(vit_blur, prob=0.1), vit_solarize]

# CIFAR's, as PatchMix has it.
small_crop = dict(vit_crop, scale=32, crop_ratio_range=(0.1, 1.0))
small_views = [
    dict(
        type='MultiView',
        num_views=[1, 1],
        transforms=[[small_crop, *vit_view_0], [small_crop, *vit_view_1]]),
    dict(type='PackInputs'),
]
