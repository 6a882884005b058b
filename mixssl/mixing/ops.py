"""How two batches of images become one. Pure functions: they never touch their inputs.

Shapes: M rows, C channels, H height, W width.
"""

import torch
from torch import Tensor

from mixssl.structures import MixedView


def blend(own: Tensor, other: Tensor, lam: Tensor) -> Tensor:
    """Weighs two batches of images or features by a number per row: ``lam * own + (1 - lam) * other`` (mixup).

    Exact at both ends: λ = 1 gives ``own`` and λ = 0 gives ``other``, bit by bit.

    Args:
        own: (M, ...), floating point.
        other: Like ``own``.
        lam: (M,), in [0, 1].

    Returns:
        A new tensor like ``own``.
    """
    return torch.lerp(other, own, lam.to(own.dtype).view(-1, *(1,) * (own.ndim - 1)))


def mask_blend(own: Tensor, other: Tensor, mask: Tensor) -> Tensor:
    """Weighs two batches by a number per pixel: ``mask * own + (1 - mask) * other``.

    Args:
        own: (M, C, H, W), floating point.
        other: Like ``own``.
        mask: (M, 1, H, W), in [0, 1].

    Returns:
        A new tensor like ``own``; exact where the mask is 0 or 1.
    """
    return torch.lerp(other, own, mask.to(own.dtype))


def box_mask(boxes: Tensor, height: int, width: int) -> Tensor:
    """Turns boxes into masks of the own image: 0 inside the box, 1 outside.

    Args:
        boxes: (M, 4): top, left, bottom, right in pixels, half-open.
        height: Of the mask.
        width: Of the mask.

    Returns:
        (M, 1, H, W), float32.
    """
    top, left, bottom, right = boxes.view(-1, 4, 1, 1).unbind(1)
    row = torch.arange(height, device=boxes.device).view(1, -1, 1)
    column = torch.arange(width, device=boxes.device).view(1, 1, -1)
    inside = (row >= top) & (row < bottom) & (column >= left) & (column < right)
    return (~inside).unsqueeze(1).float()


def paste(own: Tensor, other: Tensor, boxes: Tensor) -> Tensor:
    """Puts the box of one batch over the same place of another (CutMix).

    Args:
        own: (M, C, H, W).
        other: Like ``own``.
        boxes: (M, 4): top, left, bottom, right in pixels, half-open; an empty box leaves ``own``.

    Returns:
        A new tensor like ``own``, every pixel an exact copy of one of the two.
    """
    return torch.where(box_mask(boxes, *own.shape[-2:]).bool(), own, other)


def rows_mixture(
    images: Tensor | None,
    source: int,
    partner: Tensor,
    lam: Tensor,
    mask: Tensor,
    boxes: Tensor | None = None,
) -> MixedView:
    """Writes the record of a mixture of one view, with a row per image.

    Args:
        images: The mixed pixels, (N, C, H, W); None where the model makes them.
        source: Number of the view.
        partner: (N,), int64.
        lam: (1,) or (N,).
        mask: (1, 1, H, W) or (N, 1, H, W).
        boxes: (1, 4) or (N, 4).
    """
    size, device = len(partner), partner.device
    return MixedView(
        images=images,
        source=source,
        partner_view=source,
        index=torch.arange(size, device=device),
        partner=partner,
        lam=lam.float().to(device, non_blocking=True).expand(size),
        mask=mask.expand(size, -1, -1, -1),
        boxes=None if boxes is None else boxes.expand(size, 4),
    )


def upsampled(cells: Tensor, height: int, width: int) -> Tensor:
    """Enlarges a mask of cells to pixels, each that of the nearest cell: (h, w) to (1, 1, height, width)."""
    rows, columns = (
        torch.arange(pixels, device=cells.device) * count // pixels
        for pixels, count in zip((height, width), cells.shape, strict=True)
    )
    return cells[rows][:, columns][None, None]
