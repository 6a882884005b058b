"""Layers that backbones are built of."""

from mixssl.models.layers.split_bn import SplitBN

__all__ = ["SplitBN"]
