"""CutMix: a box of one image pasted over the same place of another."""

import torch
from torch import Tensor

from mixssl.mixing.policies.base import BetaPolicy
from mixssl.mixing.sampling import cut_boxes
from mixssl.mixing.unmix import region_mixture
from mixssl.registry import MIXERS
from mixssl.structures import MixedView


@MIXERS.register_module()
class CutMix(BetaPolicy[tuple[Tensor, Tensor]]):
    """A box of about 1 - λ of the area, centre uniform, clipped, λ recomputed (Yun et al. 2019, §3.1 and Algorithm A1).

    Args:
        alpha: Of λ ~ Beta(alpha, alpha), > 0.
        per_sample: Whether each image has a box of its own.
        views: Clean views to mix, with the same partners and boxes.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def draw(
        self, count: int, height: int, width: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draws boxes and what they leave: (count, 4) and (count,)."""
        return cut_boxes(self.draw_lam(count, generator), height, width, generator)

    def render(
        self, images: Tensor, source: int, partner: Tensor, draw: tuple[Tensor, Tensor]
    ) -> MixedView:
        """Pastes; see :meth:`Policy.render`."""
        boxes, lam = draw
        return region_mixture(images, source, lam, boxes, partner)
