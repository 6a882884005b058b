"""Crops, scaling and blurs of whole batches as two matrix products: one along the rows, one along the columns.

Both are linear and separable, so every image has a matrix for its height and one for its width. That is exact where
sampling on a grid is not: a crop never sees pixels beyond its edge, and shrinking averages over all it covers.
"""

import torch
from torch import Tensor


def resample(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Applies a matrix to the height and one to the width of each image.

    Args:
        images: (N, C, H, W), any dtype.
        rows: (N, H', H), float32.
        columns: (N, W', W), float32.

    Returns:
        (N, C, H', W'), float32, contiguous.
    """
    number, channels, height, width = images.shape
    out_height, out_width = rows.shape[1], columns.shape[1]
    # Rows outermost: (H, C, W), of which the first product takes (C, W) and the second (H', C) as one axis.
    flat = torch.empty(
        number, height, channels, width, dtype=rows.dtype, device=images.device
    ).copy_(images.transpose(1, 2))
    half = torch.bmm(rows, flat.view(number, height, channels * width))
    whole = torch.bmm(half.view(number, out_height * channels, width), columns.transpose(1, 2))
    return whole.view(number, out_height, channels, out_width).transpose(1, 2).contiguous()


def crop_weights(
    first: Tensor, length: Tensor, out: int, size: int, cubic: bool, smooth: bool
) -> Tensor:
    """Weights that scale pixels ``first`` to ``first + length`` of an axis to ``out`` pixels.

    Pillow's resize and torchvision's with ``antialias=True`` for ``smooth``; without it, and bilinear, OpenCV's and
    torchvision's with ``antialias=False``.

    Args:
        first: (N,), where the crop begins.
        length: (N,), how many pixels it has, >= 1.
        out: Pixels wanted.
        size: Pixels of the whole axis.
        cubic: Keys' cubic with a = -1/2 in place of the triangle of bilinear interpolation.
        smooth: Whether to widen the filter by the factor by which a crop shrinks.

    Returns:
        (N, out, size), float32; each row sums to 1 and is 0 outside the crop.
    """
    first, length = first.view(-1, 1, 1).float(), length.view(-1, 1, 1).float()
    scale = length / out
    centre = (torch.arange(out, device=first.device).view(1, -1, 1) + 0.5) * scale + first
    pixel = torch.arange(size, device=first.device).view(1, 1, -1) + 0.5
    distance = (pixel - centre).abs_()
    if smooth:
        distance /= scale.clamp_min(1)
    weights = _cubic(distance) if cubic else (1 - distance).clamp_min_(0)
    weights *= (pixel > first) & (pixel < first + length)
    return weights / weights.sum(dim=2, keepdim=True)


def _cubic(x: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -1/2, for distances x >= 0."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, far).masked_fill_(x >= 2, 0)


def blur_weights(sigma: Tensor, size: int, radius: int) -> Tensor:
    """Weights of a Gaussian along an axis whose ends are mirrored, as torchvision's ``gaussian_blur`` has it.

    Args:
        sigma: (N,), standard deviations in pixels, > 0.
        size: Pixels of the axis.
        radius: Farthest pixel that counts, below ``size``.

    Returns:
        (N, size, size), float32; each row sums to 1.
    """
    distance = torch.arange(radius + 1, device=sigma.device)
    kernel = torch.exp(-0.5 * (distance / sigma.view(-1, 1)).square())
    kernel = kernel / (2 * kernel.sum(dim=1, keepdim=True) - 1)  # at distance 0 it is 1
    kernel = torch.nn.functional.pad(kernel, (0, 1))  # weight 0 for all that lies farther
    position = torch.arange(size, device=sigma.device)
    row, column = position.view(-1, 1), position.view(1, -1)
    weights = torch.zeros(len(sigma), size * size, device=sigma.device)
    # A pixel counts for itself and for its mirror images beyond either end; the end pixels have none of their own.
    for there, counts in (
        ((row - column).abs(), column >= 0),
        (row + column, column > 0),
        (2 * (size - 1) - row - column, column < size - 1),
    ):
        index = torch.where(counts, there.clamp_max(radius + 1), radius + 1)
        weights += kernel.index_select(1, index.flatten())
    return weights.view(-1, size, size)
