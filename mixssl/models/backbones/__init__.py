"""Backbones that mmpretrain lacks."""

from mixssl.models.backbones.mocov3_vit import MoCoV3ViT
from mixssl.models.backbones.resnet_medium import ResNetMedium
from mixssl.models.backbones.resnext_cifar import ResNeXtCIFAR

__all__ = ["MoCoV3ViT", "ResNeXtCIFAR", "ResNetMedium"]
