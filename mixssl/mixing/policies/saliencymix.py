"""SaliencyMix: CutMix whose box lies where the partner has something to show."""

from __future__ import annotations

import torch
from torch import Tensor

from mixssl.mixing.ops import box_mask, paste
from mixssl.mixing.policies.base import BetaPolicy, rows_mixture
from mixssl.mixing.saliency import center_surround
from mixssl.mixing.sampling import clip_boxes, half_sides
from mixssl.registry import MIXERS
from mixssl.structures import MixedView

__all__ = ["SaliencyMix", "salient_boxes"]


@MIXERS.register_module()
class SaliencyMix(BetaPolicy[Tensor]):
    """Pastes the box around the partner's most salient pixel over the same place (Uddin et al. 2021).

    As in the authors' code one partner of the batch, here the first row's, gives the box for all rows; ``per_sample``
    lets each row's own partner give it, as the paper words it. The box is clipped to the image and λ recomputed.
    Saliency is :func:`~mixssl.mixing.saliency.center_surround` on the device, in place of OpenCV's on the CPU. With two
    views each has boxes, and so λ, of its own, which is not what ``pairing='mixed'`` of UnMixHead needs.

    Args:
        alpha: Of λ ~ Beta(alpha, alpha), > 0; the paper uses 1.
        per_sample: Whether each image has a λ and a box of its own.
        views: Clean views to mix, with the same partners and the same λ before clipping.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def draw(self, count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """Draws half the sides of the boxes, (count, 2), int64."""
        return half_sides(self.draw_lam(count, generator), height, width)

    def render(self, images: Tensor, source: int, partner: Tensor, draw: Tensor) -> MixedView:
        """Finds the boxes and pastes; see :meth:`Policy.render`."""
        half = draw.to(images.device, non_blocking=True)
        boxes, lam = salient_boxes(images[partner[: len(half)]], half)
        mask = box_mask(boxes, *images.shape[-2:])
        mixed = paste(images, images[partner], boxes)
        return rows_mixture(mixed, source, partner, lam, mask, boxes)


def salient_boxes(images: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes around the most salient pixels.

    Args:
        images: (B, C, H, W).
        half: Half sides, (B, 2), int64, on the same device.

    Returns:
        boxes: (B, 4), int64: top, left, bottom, right, half-open, clipped to the image.
        lam: (B,), float64: exact weight that the boxes leave.
    """
    height, width = images.shape[-2:]
    peak = center_surround(images).flatten(1).argmax(dim=1)
    centre = torch.stack([peak // width, peak % width], dim=1)
    return clip_boxes(centre, half, height, width)
