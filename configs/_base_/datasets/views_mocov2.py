# The transforms that views are made of, each by its name, and MoCo v2's views of ImageNet. Pipelines elsewhere are
# lists of these names; a data set of other pixels changes the crop's scale.
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
