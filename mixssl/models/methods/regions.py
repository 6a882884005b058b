"""Embeddings of regions for any method: what an adapter adds to compare the inside and outside of boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from mixssl.models.methods.averaging import FusedEMA
from mixssl.models.methods.base import View
from mixssl.registry import MODELS
from mixssl.structures import IMAGE, Key

if TYPE_CHECKING:
    from mmpretrain.models import BaseSelfSupervisor as _Algorithm
else:
    _Algorithm = object

__all__ = ["RegionPooling", "embed"]


class RegionPooling(_Algorithm):
    """Mixin that offers ``"regions"`` once a region neck is configured.

    It goes between MixtureMethod and the algorithm among the bases.

    The neck is built only where the mix head has terms of regions: without a mixer the model is its parent's, state
    keys included, and no parameter goes without a gradient.

    Args:
        region_neck: Config of a neck like :class:`~mixssl.models.necks.RegionPool`; None for no regions.
        region_momentum: Whether targets' regions go through a momentum copy of the neck; otherwise through the neck
            that trains, without gradient, as in the authors' code of local/global CutMix.
    """

    offers: frozenset[str]
    mixture_arguments: ClassVar[tuple[str, ...]] = ("region_neck", "region_momentum")
    region_neck: Any
    region_neck_k: FusedEMA | None

    def __init__(
        self,
        *args: Any,
        region_neck: dict | None = None,
        region_momentum: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.region_neck = self.region_neck_k = None
        self._region_cfg = region_neck
        self._region_momentum = region_momentum
        if region_neck is not None:
            self.offers = self.offers | {"regions"}

    def build_regions(self, momentum: FusedEMA | None = None) -> bool:
        """Builds the region neck if the mix head asks for regions; an adapter's constructor ends with it.

        Args:
            momentum: The method's momentum encoder, whose law of averaging the neck's copy follows; None for methods
                without.

        Returns:
            Whether there is a region neck now.
        """
        wanted = (
            self.mixer is not None
            and self.mix_head is not None
            and "regions" in self.mix_head.needs
        )
        if not wanted or self._region_cfg is None:
            return False
        self.region_neck = MODELS.build(self._region_cfg)
        if momentum is not None and self._region_momentum:
            self.region_neck_k = momentum.alike(self.region_neck)
        return True

    def update_region_momentum(self, momentum: FusedEMA) -> None:
        """Moves the copy of the region neck, if there is one.

        Args:
            momentum: The method's momentum encoder, which has just moved; the copy is averaged by the momentum that it
                had, except for the first time, where the copy is made.
        """
        if self.region_neck_k is not None:
            if self.region_neck_k.count:
                self.region_neck_k.count = momentum.count - 1
            self.region_neck_k.update_parameters(self.region_neck)

    @property
    def region_width(self) -> int:
        """Size of a region's embedding."""
        return int(self.region_neck.out_channels)

    @property
    def target_region_neck(self) -> nn.Module | None:
        """The region neck that targets go through."""
        return self.region_neck if self.region_neck_k is None else self.region_neck_k.module


def embed(
    view: View, backbone: nn.Module, neck: nn.Module, region_neck: nn.Module | None
) -> dict[Key, Tensor]:
    """Encodes one view once and embeds all regions that are asked for, the whole image among them.

    Args:
        view: With ``boxes`` where regions other than the image are asked for.
        backbone: From images to maps.
        neck: From maps to the image's embedding.
        region_neck: From maps to the embeddings of regions.

    Returns:
        (M, D) by key, not normalised.
    """
    maps = backbone(view.images)
    found = {Key(view.number): neck(maps)[0]} if IMAGE in view.regions else {}
    regions = [region for region in view.regions if region != IMAGE]
    if regions:
        assert region_neck is not None and view.boxes is not None
        size = (view.images.shape[-2], view.images.shape[-1])
        pooled = region_neck(maps, view.boxes, size, regions)
        found |= {Key(view.number, region): pooled[region] for region in regions}
    return found
