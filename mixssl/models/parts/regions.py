"""Embeddings of regions: what a method adds to compare the inside and the outside of boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mixssl.models.momentum import FusedEMA
from mixssl.models.necks.region_pool import cell_weights
from mixssl.models.parts.base import Part
from mixssl.registry import MODELS
from mixssl.structures import CANVAS, GLOBAL, LOCAL, PASTE, EmbeddingId, View

if TYPE_CHECKING:
    from mixssl.models.methods import MixtureMethod


class Regions(Part):
    """Pools the maps of a view over regions, by a neck that trains and, for targets, a momentum copy of it.

    Args:
        method: Gets the neck as its module ``region_neck``, and the copy as ``region_neck_k``.
        neck: Config of a neck like :class:`~mixssl.models.necks.RegionPool`.
        momentum: The method's momentum encoder, which the copy moves like; None sends targets through the neck that
            trains, without gradient, as in the authors' code of local/global CutMix.
    """

    def __init__(self, method: MixtureMethod, neck: dict, momentum: FusedEMA | None) -> None:
        method.region_neck = MODELS.build(neck)
        method.region_neck_k = None if momentum is None else momentum.like(method.region_neck)
        self.width: int = method.region_neck.out_channels
        self._momentum = momentum

    def update_momentum(self, method: MixtureMethod) -> None:
        """Moves the copy by the momentum by which the method's encoder has just moved; the first time is a copy."""
        copy = method.region_neck_k
        if copy is not None:
            assert self._momentum is not None
            if copy.count:
                copy.count = self._momentum.count - 1
            copy.update_parameters(method.region_neck)

    def embed(
        self, method: MixtureMethod, view: View, maps: Any, online: bool
    ) -> dict[EmbeddingId, Tensor]:
        """Embeddings of the regions that are asked for, (M, D) each, not normalised."""
        regions = [region for region in view.regions if region in (LOCAL, GLOBAL)]
        if not regions:
            return {}
        trained = online or method.region_neck_k is None
        neck = method.region_neck if trained else method.region_neck_k.module
        size = (view.images.shape[-2], view.images.shape[-1])
        pooled = neck(maps, view.boxes, size, regions)
        return {EmbeddingId(view.number, region): pooled[region] for region in regions}


class Cells(Part):
    """Averages the last map inside and outside of a box, and embeds both by the method's own neck, as one batch.

    A region of a map is what the neck sees of any image, cells that are averaged: it needs no neck of its own.
    """

    def embed(
        self, method: MixtureMethod, view: View, maps: Any, online: bool
    ) -> dict[EmbeddingId, Tensor]:
        """Embeddings of the canvas and the paste that are asked for, (M, D) each, not normalised."""
        regions = [region for region in (CANVAS, PASTE) if region in view.regions]
        if not regions:
            return {}
        assert view.boxes is not None
        cells = maps[-1]
        size = (view.images.shape[-2], view.images.shape[-1])
        weights = cell_weights(view.boxes, size, (cells.shape[-2], cells.shape[-1]))
        with torch.autocast(cells.device.type, enabled=False):
            pooled = [
                torch.einsum("nchw,nhw->nc", cells.float(), weights[region]) for region in regions
            ]
        teacher: Any = method.teacher
        neck = method.neck if online else teacher.module[1]
        found = neck((torch.cat(pooled)[:, :, None, None],))[0].chunk(len(regions))
        return {
            EmbeddingId(view.number, region): rows
            for region, rows in zip(regions, found, strict=True)
        }


def add_regions(
    method: MixtureMethod, neck: dict | None, momentum: FusedEMA | None = None
) -> Regions | None:
    """Gives a method regions where its mix head asks for them; a method's constructor ends with it.

    Without a head that asks, the model is its parent's, state keys included, and no parameter goes without a gradient.

    Returns:
        The part, or None.
    """
    method.region_neck = method.region_neck_k = None
    head = None if method.mixer is None else method.mix_head
    if neck is None or head is None or "regions" not in head.requirements:
        return None
    part = Regions(method, neck, momentum)
    method.parts.append(part)
    return part
