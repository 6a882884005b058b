"""SaliencyMix: CutMix whose box lies where the partner has something to show."""

import torch
from mmengine.dist import broadcast
from torch import Tensor

from mixssl.mixing.ops import box_mask, paste, rows_mixture
from mixssl.mixing.policies.base import BetaPolicy
from mixssl.mixing.saliency import center_surround
from mixssl.mixing.sampling import clip_boxes, half_sides
from mixssl.registry import MIXERS
from mixssl.structures import MixedView


@MIXERS.register_module()
class SaliencyMix(BetaPolicy[Tensor]):
    """Pastes the box around the partner's most salient pixel over the same place (Uddin et al. 2021).

    As in the authors' code one partner, here that of the first row on the first device, gives the box for all rows of
    all devices; ``per_sample`` lets each row's own partner give it, as the paper words it. The box is clipped to the
    image and λ recomputed. Saliency is :func:`~mixssl.mixing.saliency.center_surround` on the device, in place of
    OpenCV's on the CPU. With two views each has boxes, and so λ, of its own, which is not what ``pairing='mixed'`` of
    UnMixHead needs.

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
        half, size = draw.to(images.device, non_blocking=True), images.shape[-2:]
        centre = salient_points(images[partner[: len(half)]])
        if not self.per_sample:
            broadcast(centre, src=0)
        boxes, lam = clip_boxes(centre, half, *size)
        mask = box_mask(boxes, *size)
        mixed = paste(images, images[partner], boxes)
        return rows_mixture(mixed, source, partner, lam, mask, boxes)


def salient_points(images: Tensor) -> Tensor:
    """The most salient pixel of each image: (B, C, H, W) to row and column, (B, 2), int64."""
    peak, width = center_surround(images).flatten(1).argmax(dim=1), images.shape[-1]
    return torch.stack([peak // width, peak % width], dim=1)
