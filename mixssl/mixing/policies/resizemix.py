"""ResizeMix: a whole image, made small, pasted into another."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mixssl.mixing.ops import box_mask, rows_mixture
from mixssl.mixing.policies.base import Policy
from mixssl.mixing.sampling import inner_boxes, uniform
from mixssl.registry import MIXERS
from mixssl.structures import MixedView


@MIXERS.register_module()
class ResizeMix(Policy[tuple[Tensor, Tensor]]):
    """Scales the partner to a patch and pastes it anywhere inside the own image (Qin et al. 2020).

    Both sides of the patch are the image's times one number from U(scale); λ is what the patch leaves of the area. The
    patch is sampled bilinearly without low-pass filter, as ``F.interpolate`` does by default.

    Args:
        scale: Smallest and largest ratio of the patch's side to the image's, 0 < low <= high <= 1; the paper's are 0.1
            and 0.8.
        per_sample: Whether each image has a patch of its own size and place.
        views: Clean views to mix, with the same partners and patches.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def __init__(
        self,
        scale: tuple[float, float] = (0.1, 0.8),
        per_sample: bool = False,
        views: Sequence[int] = (0,),
    ) -> None:
        super().__init__(per_sample, views)
        if len(scale) != 2 or not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(
                f"scale of ResizeMix is {tuple(scale)} and must be 0 < low <= high <= 1; the paper's is (0.1, 0.8)"
            )
        self.scale = (float(scale[0]), float(scale[1]))

    def draw(
        self, count: int, height: int, width: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draws patches and what they leave: (count, 4), int64, and (count,)."""
        low, high = self.scale
        ratio = low + (high - low) * uniform(count, generator)
        return inner_boxes(ratio, height, width, generator)

    def render(
        self, images: Tensor, source: int, partner: Tensor, draw: tuple[Tensor, Tensor]
    ) -> MixedView:
        """Resizes and pastes; see :meth:`Policy.render`."""
        boxes, lam = draw
        return resize_mixture(images, source, lam, boxes, partner)


def resize_mixture(
    images: Tensor, source: int, lam: Tensor, boxes: Tensor, partner: Tensor
) -> MixedView:
    """Fits partners into boxes of a view.

    Args:
        images: (N, C, H, W).
        source: Number of the view.
        lam: (1,) or (N,): what the boxes leave to the own image.
        boxes: (1, 4) or (N, 4): top, left, bottom, right in pixels, half-open, at least one pixel.
        partner: (N,), int64, on the images' device.

    Returns:
        The mixture, its mask 0 inside the box and 1 outside.
    """
    boxes = boxes.to(images.device, non_blocking=True)
    mask = box_mask(boxes, *images.shape[-2:])
    mixed = resize_paste(images, images[partner], boxes)
    return rows_mixture(mixed, source, partner, lam, mask, boxes)


def resize_paste(own: Tensor, other: Tensor, boxes: Tensor) -> Tensor:
    """Fits the whole of each image of one batch into a box of another.

    Args:
        own: (M, C, H, W), floating point.
        other: Like ``own``.
        boxes: (1, 4) or (M, 4): top, left, bottom, right in pixels, half-open, at least one pixel.

    Returns:
        A new tensor like ``own``; outside the box an exact copy, inside it ``other`` interpolated bilinearly.
    """
    height, width = own.shape[-2:]
    # 16-bit numbers can't address the pixels of an image of 224.
    dtype = torch.float32 if other.element_size() < 4 else other.dtype
    top, left, bottom, right = boxes.to(dtype).view(-1, 4, 1).unbind(1)
    row = torch.arange(height, device=own.device, dtype=dtype) + 0.5
    column = torch.arange(width, device=own.device, dtype=dtype) + 0.5
    y = ((row - top) / (bottom - top)) * 2 - 1
    x = ((column - left) / (right - left)) * 2 - 1
    grid = torch.stack(
        [x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], dim=-1
    ).expand(len(own), -1, -1, -1)
    small = F.grid_sample(
        other.to(dtype), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return torch.where(box_mask(boxes, height, width).bool(), own, small.to(own.dtype))
