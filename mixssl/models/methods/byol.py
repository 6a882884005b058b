"""BYOL: each view predicts what a momentum encoder makes of the other."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseAveragedModel
from mmpretrain.models import BYOL
from torch import Tensor

from mixssl.models.methods.base import View
from mixssl.models.methods.momentum import CosineMomentum
from mixssl.models.methods.prediction import prediction_losses
from mixssl.models.methods.regions import RegionPooling, embed
from mixssl.registry import MODELS
from mixssl.structures import IMAGE, Key, Term

__all__ = ["MixBYOL"]


@MODELS.register_module()
class MixBYOL(CosineMomentum, RegionPooling, BYOL):
    """mmpretrain's BYOL with mixtures (Grill et al. 2020).

    Without a mixer the parent, bit by bit, the factor 2 of its loss included. A mixture predicts the targets of its
    images, each weighed by its share: pairing="cross" of UnMixHead, into the online branch only. With "mutual" the
    images also predict the mixture's target, which is Un-Mix's Algorithm 1. The predictor sees a view once, whatever
    the number of its targets. The target network moves once per optimizer step, under gradient accumulation too,
    where its momentum still follows the run's iterations.

    Regions (local/global CutMix, whose paper has them on MoCo alone) are projected by the region neck, predicted by a
    head of their own, and compared with what a momentum copy of the neck makes of the target network's maps.

    Args:
        *args: Of mmpretrain's BYOL.
        region_head: Config of a prediction head for regions, like ``head`` with as many channels as the region neck
            puts out; wanted wherever the mix head compares regions.
        **kwargs: Of mmpretrain's BYOL (backbone, neck, head, base_momentum, data_preprocessor, ...) and ``mix_head``,
            ``joint_bn``. ``base_momentum`` is the weight of the new value at the start, 0.01 for a momentum of 0.99.

    Raises:
        ValueError: If regions are compared and ``region_head`` is None; in training, if the length of the run is
            unknown.
    """

    targets_show_maps = True
    offers = frozenset({"rows"})
    mixture_arguments = ("region_head",)

    def __init__(self, *args: Any, region_head: dict | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.region_head = None
        if self.build_regions(self.target_net):
            if region_head is None:
                raise ValueError(
                    "region_head of MixBYOL is None and the mix head compares regions: set it to a config like "
                    "head's, its predictor with as many channels as region_neck.out_channels"
                )
            self.region_head = MODELS.build(region_head)

    @property
    def momentum_guide(self) -> BaseAveragedModel:
        """The momentum encoder."""
        return self.target_net

    def clean_terms(self, clean: int) -> list[Term]:
        """View 0 predicts the target of view 1, and the other way round."""
        return [Term(Key(0), Key(1)), Term(Key(1), Key(0))]

    def encode_online(self, views: list[View]) -> dict[Key, Tensor]:
        """Projections, (M, D); each view is its own batch for batch normalisation."""
        found: dict[Key, Tensor] = {}
        for view in views:
            found |= embed(view, self.backbone, self.neck, self.region_neck)
        return found

    def update_momentum(self) -> None:
        """Moves the target network."""
        self.move(self.target_net)
        self.update_region_momentum(self.target_net)

    @torch.no_grad()
    def encode_target(self, views: list[View], online: dict[Key, Tensor]) -> dict[Key, Tensor]:
        """Projections of the target network, (M, D)."""
        backbone, neck = self.target_net.module
        found: dict[Key, Tensor] = {}
        for view in views:
            found |= embed(view, backbone, neck, self.target_region_neck)
        return found

    def predict(self, online: Tensor) -> Tensor:
        """The prediction of the target."""
        return self.head.predictor([online])[0]

    def pair_losses(self, online: Tensor, targets: list[Tensor], terms: list[Term]) -> list[Tensor]:
        """Twice the head's loss, which for a pair of views adds up to the parent's."""
        head = self.head if terms[0].online.region == IMAGE else self.region_head
        return [2 * value for value in prediction_losses(head, online, targets, terms)]
