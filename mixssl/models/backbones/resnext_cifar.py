"""A ResNeXt for small images."""

from mmpretrain.models import ResNet_CIFAR, ResNeXt

from mixssl.registry import MODELS


@MODELS.register_module()
class ResNeXtCIFAR(ResNet_CIFAR, ResNeXt):
    """mmpretrain's ResNeXt with the stem of its ResNet_CIFAR: one 3x3 convolution of stride 1, no max-pooling.

    For images of 32 and 64 pixels, as AMix trains ResNeXt-50 (32x4d) on CIFAR-100 and Tiny ImageNet. Maps are a quarter
    of the image in stage 3 and an eighth in stage 4.

    Args:
        depth: 50, 101 or 152.
        deep_stem: Must be False.
        **kwargs: Of mmpretrain's ResNeXt: groups, width_per_group, ...
    """
