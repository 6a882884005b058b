"""MixUp: two images blended by one weight."""

from __future__ import annotations

import torch
from torch import Tensor

from mixssl.mixing.policies.base import BetaPolicy
from mixssl.mixing.unmix import global_mixture
from mixssl.registry import MIXERS
from mixssl.structures import MixedView

__all__ = ["MixUp"]


@MIXERS.register_module()
class MixUp(BetaPolicy[Tensor]):
    """λ·x + (1-λ)·x[partner] (Zhang et al. 2018, §2), λ once per batch as in the authors' code, or per image.

    Args:
        alpha: Of λ ~ Beta(alpha, alpha), > 0.
        per_sample: Whether each image has a λ of its own.
        views: Clean views to mix, with the same partners and λ.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def draw(self, count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """Draws λ."""
        return self.draw_lam(count, generator)

    def render(self, images: Tensor, source: int, partner: Tensor, draw: Tensor) -> MixedView:
        """Blends; see :meth:`Policy.render`."""
        return global_mixture(images, source, draw, partner)
