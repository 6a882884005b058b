"""Pure functions around learned masks: feature grids, λ adjusting, guards. They never touch their inputs.

Shapes: N images, M rows of a mixture, C channels, h and w of a feature map, H and W of an image.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LIMIT = 65504.0
"""The largest number of half precision: what features are expected to stay below."""
_MOST_EXTRA_TOKENS = 8
"""Class, distillation and register tokens that a transformer may put before its patches."""


def adjust_mask(mask: Tensor, lam: Tensor) -> Tensor:
    """Moves a mask as a whole so that its mean becomes λ, and keeps it in [0, 1] (AMix, §3.2, "λ adjusting").

    A mask that is too bright is scaled towards 0, one that is too dark is scaled towards 1: with mean μ, ``s * λ / μ``
    where μ > λ and ``1 - (1 - s) * (1 - λ) / (1 - μ)`` elsewhere. The paper prints the factor upside down (μ .073 would
    move away from λ .3) and one side only.

    Args:
        mask: Weight of the own image per pixel, (M, 1, H, W), floating point, in [0, 1].
        lam: Weight of the own image, (M,), in [0, 1].

    Returns:
        (M, 1, H, W), at least float32, whose mean per row is λ up to rounding, for any mask and any λ.
    """
    mask = at_least_float32(mask)
    lam = lam.to(mask.dtype).view(-1, 1, 1, 1)
    mean = mask.mean(dim=(1, 2, 3), keepdim=True)
    bright = mean > lam
    # The side not taken gets a denominator of 1: where() would pass a NaN of either side on to the gradient.
    darker = mask * (lam / torch.where(bright, mean, 1))
    full = bright | (mean >= 1)
    lighter = 1 - (1 - mask) * ((1 - lam) / torch.where(full, 1, 1 - mean))
    return torch.where(bright, darker, lighter)


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor in single precision where its own is lower."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def finite(x: Tensor) -> Tensor:
    """Zeros in place of NaN, infinities and whatever half precision can't hold; no gradient flows into those places."""
    return torch.where(x.abs() <= LIMIT, x, torch.zeros((), dtype=x.dtype, device=x.device))


def normalise(norm: nn.Module, x: Tensor) -> Tensor:
    """Applies a norm layer; batch normalisation with a single value per channel takes its running statistics.

    Args:
        norm: Any norm layer, or the identity.
        x: (M, C, h, w).
    """
    single = x.numel() == x.shape[1]
    if single and isinstance(norm, nn.modules.batchnorm._BatchNorm):
        return F.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps
        )
    return norm(x)


def upsample(maps: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Resizes maps (M, 1, h, w) to ``size``; mode "bilinear" (corners not aligned) or "nearest"."""
    align = None if mode == "nearest" else False
    return F.interpolate(maps, size=size, mode=mode, align_corners=align)


def to_maps(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Lays tokens out as a map and leaves maps as they are.

    Args:
        features: Maps (N, C, h, w), or a transformer's tokens (N, L, C) with class, distillation and register tokens
            first, if any.
        size: Height and width of the images in pixels.

    Returns:
        (N, C, h, w); of tokens a view, without those that stand for no patch.

    Raises:
        ValueError: If the features have neither shape, or no grid of patches fits the tokens.
    """
    if features.ndim == 4:
        return features
    if features.ndim != 3:
        raise ValueError(
            f"features have shape {tuple(features.shape)} and must be maps (N, C, h, w) or tokens (N, L, C): "
            "name a layer of the backbone that gives one of them"
        )
    tokens = features.shape[1]
    height, width = token_grid(tokens, size)
    return features[:, tokens - height * width :].transpose(1, 2).unflatten(2, (height, width))


@lru_cache(maxsize=64)
def token_grid(tokens: int, size: tuple[int, int]) -> tuple[int, int]:
    """Finds the grid of square patches that gives so many tokens, beside as few extra ones as possible.

    Args:
        tokens: L, extra tokens included.
        size: Height and width of the images in pixels.

    Returns:
        Rows and columns of patches; a last patch may be cut off or padded.

    Raises:
        ValueError: If no patch size fits with at most 8 extra tokens.
    """
    grids: dict[int, tuple[int, int]] = {}
    for patch in range(1, max(size) + 1):
        for grid in (
            (size[0] // patch, size[1] // patch),
            (-(-size[0] // patch), -(-size[1] // patch)),
        ):
            grids.setdefault(grid[0] * grid[1], grid)
    for patches in range(tokens, max(0, tokens - _MOST_EXTRA_TOKENS - 1), -1):
        if patches in grids:
            return grids[patches]
    raise ValueError(
        f"{tokens} tokens of an image of {size[0]} x {size[1]} pixels fit no grid of square patches with up to "
        f"{_MOST_EXTRA_TOKENS} extra tokens: name a layer that keeps one token per patch"
    )
