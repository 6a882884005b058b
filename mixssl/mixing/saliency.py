"""Where an image stands out from its surroundings, on the device and without a model."""

import torch
from torch import Tensor
from torch.nn import functional as F

RADII = (12, 24, 28, 48, 56, 112)
"""Half sides in pixels of the surroundings that fine-grained saliency looks at."""


def center_surround(images: Tensor, radii: tuple[int, ...] = RADII) -> Tensor:
    """Sums the contrast of every pixel with squares around it (fine-grained saliency, Montabone and Soto 2010).

    For each radius: how far the pixel's intensity lies from the mean of the square around it, without the pixel itself
    and clipped to the image. Squares are summed through one integral image. This is the measure behind OpenCV's
    ``StaticSaliencyFineGrained``, which works on bytes, rounds between the steps and runs on the CPU, image by image;
    here all stays in fp32, and intensity is the mean of the normalised channels, not a weighted gray of bytes.

    Args:
        images: (N, C, H, W), floating point.
        radii: In pixels, each >= 1.

    Returns:
        (N, H, W), float32, >= 0.
    """
    gray = images.float().mean(dim=1)
    gray = gray - gray.mean(dim=(1, 2), keepdim=True)  # keeps the sums small, where fp32 is fine
    table = F.pad(gray.cumsum(dim=1).cumsum(dim=2), (1, 0, 1, 0))
    height, width = gray.shape[1:]
    total = torch.zeros_like(gray)
    for radius in radii:
        top, bottom = _span(height, radius, gray.device)
        left, right = _span(width, radius, gray.device)
        upper, lower = table[:, top], table[:, bottom]
        inside = lower[:, :, right] - lower[:, :, left] - upper[:, :, right] + upper[:, :, left]
        others = ((bottom - top)[:, None] * (right - left) - 1).clamp_min(1)
        total += (gray - (inside - gray) / others).abs()
    return total


def _span(size: int, radius: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """First and last but one position of the window around each position, clipped: (size,) each, int64."""
    place = torch.arange(size, device=device)
    return (place - radius).clamp_min(0), (place + radius + 1).clamp_max(size)
