"""A ResNet for images between CIFAR's and ImageNet's."""

from mmcv.cnn import build_conv_layer
from mmpretrain.models import ResNet

from mixssl.registry import MODELS


@MODELS.register_module()
class ResNetMedium(ResNet):
    """mmpretrain's ResNet whose first convolution is 3x3 with stride 1, the max-pooling kept: a map of 1/16.

    For images of 64 pixels, as the code of W-MSE (Ermolov et al. 2021) has it on STL-10 and Tiny ImageNet. For 32
    pixels there is mmpretrain's ``ResNet_CIFAR``, which drops the max-pooling as well.
    """

    def _make_stem_layer(self, in_channels: int, stem_channels: int) -> None:
        """Builds the parent's stem and takes the smaller convolution."""
        super()._make_stem_layer(in_channels, stem_channels)
        if self.deep_stem:
            raise ValueError(
                "deep_stem of ResNetMedium is True and must be False: it has one 3x3 convolution"
            )
        self.conv1 = build_conv_layer(
            self.conv_cfg, in_channels, stem_channels, 3, stride=1, padding=1, bias=False
        )
