"""Models with regions, small enough for a test, and regions of a map computed the slow way."""

from __future__ import annotations

from typing import Any

import torch
from support.tiny import DIM, WIDTH, moco, preprocessor
from torch import Tensor, nn
from torch.nn import functional as F

NECK = {"type": "mixssl.RegionPool", "in_channels": WIDTH * 8, "out_channels": DIM}
"""Config of a region neck."""


def inter_head(**changes: Any) -> dict:
    """Config of approach 2's head."""
    return {"type": "mixssl.InterLocalGlobalHead"} | changes


def intra_head(**changes: Any) -> dict:
    """Config of approach 1's head."""
    return {"type": "mixssl.IntraLocalGlobalHead"} | changes


def with_regions(base: dict, head: dict, **changes: Any) -> dict:
    """Config of a method with local/global CutMix of the head's approach."""
    mixer = "mixssl.InterCutMix" if "Inter" in head["type"] else "mixssl.IntraCutMix"
    extra = {
        "data_preprocessor": preprocessor({"type": mixer}),
        "mix_head": head,
        "region_neck": dict(NECK),
    }
    return base | extra | changes


def moco_with_regions(head: dict, **changes: Any) -> dict:
    """Config of a MoCo with local/global CutMix."""
    return with_regions(moco(), head, **changes)


def region_average(
    neck: nn.Module, maps: Tensor, boxes: Tensor, size: int
) -> tuple[Tensor, Tensor]:
    """Inside and outside of boxes: convolve, upsample, average image by image; not normalised."""
    whole = F.interpolate(neck.conv(maps), size=size, mode="bilinear", align_corners=False)
    inside, outside = [], []
    for image, (top, left, bottom, right) in zip(whole, boxes.tolist(), strict=True):
        mask = torch.zeros(size, size, dtype=torch.bool)
        mask[top:bottom, left:right] = True
        inside.append(image[:, mask].mean(dim=1))
        outside.append(image[:, ~mask].mean(dim=1))
    return torch.stack(inside), torch.stack(outside)
