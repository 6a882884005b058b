"""Where a convolutional backbone responds."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mixssl.evaluation.state import undisturbed
from mixssl.utils.distributed import unwrap

__all__ = ["attention_maps", "spread"]


def attention_maps(model: nn.Module, images: Tensor) -> Tensor:
    """Strength of the last stage's response at each place: the sum of squares over channels, scaled to [0, 1].

    The activation-based map of Zagoruyko and Komodakis (2017), equation 1 with p = 2; no labels, no gradient.

    Args:
        model: An mmpretrain model with a convolutional backbone; left as it was.
        images: Normalised, (N, C, H, W), on the model's device.

    Returns:
        (N, H, W), float32: the stage's map, enlarged bilinearly, from 0 at the weakest place of an image to 1 at the
        strongest; 0 everywhere where an image gives the same everywhere.

    Raises:
        ValueError: The backbone does not end with a map.
    """
    model = unwrap(model)
    with undisturbed(model):
        feats = model.backbone(images)  # type: ignore[operator]
        feat = (feats if isinstance(feats, Tensor) else feats[-1]).float()
        if feat.ndim != 4:
            raise ValueError(
                f"{type(model.backbone).__name__} ends with the shape {tuple(feat.shape)}; an attention map needs a "
                "convolutional backbone, (N, C, H, W)."
            )
        strength = feat.square().sum(1, keepdim=True)
        strength = F.interpolate(strength, images.shape[-2:], mode="bilinear", align_corners=False)
        low, high = strength.amin((2, 3), keepdim=True), strength.amax((2, 3), keepdim=True)
        return ((strength - low) / (high - low).clamp(min=1e-12))[:, 0]


def spread(maps: Tensor) -> Tensor:
    """How evenly maps cover their images: entropy over that of an even map, in [0, 1].

    Args:
        maps: (N, H, W), float, >= 0.

    Returns:
        (N,), float32: 0 for a single point, 1 for an even map; an empty map counts as even.
    """
    flat = maps.flatten(1).float()
    even = torch.full_like(flat, 1 / flat.shape[1])
    total = flat.sum(1, keepdim=True)
    share = torch.where(total > 0, flat / total.clamp(min=1e-30), even)
    entropy = torch.special.entr(share).sum(1)
    return entropy / math.log(flat.shape[1]) if flat.shape[1] > 1 else torch.ones(len(flat))
