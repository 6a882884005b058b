"""Backbones that mmpretrain lacks."""

from mixssl.models.backbones.resnet_medium import ResNetMedium

__all__ = ["ResNetMedium"]
