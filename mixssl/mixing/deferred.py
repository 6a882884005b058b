"""Mixtures that wait for what the model knows of their images."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from mixssl.structures import MixedView

Saliency = Callable[[Tensor], Tensor]
"""How much each pixel matters: images (N, C, H, W) of the batch, in its order, to (N, H, W), >= 0."""


class DeferredMixture(NamedTuple):
    """A mixture drawn but not yet made: it asks for the clusters of the batch's images, which no mixer knows.

    Attributes:
        render: Makes it, from the clusters of the images, (N,), int64, and a measure of what in images matters to them.
            Draws nothing.
    """

    render: Callable[[Tensor, Saliency], MixedView]
