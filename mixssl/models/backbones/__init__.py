"""Backbones that mmpretrain lacks."""

from mixssl.models.backbones.resnet_medium import ResNetMedium
from mixssl.models.backbones.resnext_cifar import ResNeXtCIFAR

__all__ = ["ResNeXtCIFAR", "ResNetMedium"]
