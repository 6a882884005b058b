"""BYOL: each view predicts what a momentum encoder makes of the other."""

from __future__ import annotations

import torch
from mmpretrain.models import BYOL
from torch import Tensor

from mixssl.models.methods.base import View
from mixssl.models.methods.momentum import CosineMomentum
from mixssl.models.methods.prediction import prediction_losses
from mixssl.registry import MODELS
from mixssl.structures import Key, Term

__all__ = ["MixBYOL"]


@MODELS.register_module()
class MixBYOL(CosineMomentum, BYOL):
    """mmpretrain's BYOL with mixtures (Grill et al. 2020).

    Without a mixer the parent, bit by bit, the factor 2 of its loss included. A mixture predicts the targets of its
    images, each weighed by its share: pairing="cross" of UnMixHead, into the online branch only. With "mutual" the
    images also predict the mixture's target, which is Un-Mix's Algorithm 1. The predictor sees a view once, whatever
    the number of its targets. The target network moves once per optimizer step, under gradient accumulation too, where
    its momentum still follows the run's iterations.

    Args:
        *args: Of mmpretrain's BYOL.
        **kwargs: Of mmpretrain's BYOL (backbone, neck, head, base_momentum, data_preprocessor, ...) and ``mix_head``,
            ``joint_bn``. ``base_momentum`` is the weight of the new value at the start, 0.01 for a momentum of 0.99.

    Raises:
        ValueError: In training, if the length of the run is unknown.
    """

    offers = frozenset({"rows"})

    def clean_terms(self, clean: int) -> list[Term]:
        """View 0 predicts the target of view 1, and the other way round."""
        return [Term(Key(0), Key(1)), Term(Key(1), Key(0))]

    def encode_online(self, views: list[View]) -> dict[Key, Tensor]:
        """Projections, (M, D); each view is its own batch for batch normalisation."""
        return {Key(view.number): self.neck(self.backbone(view.images))[0] for view in views}

    def update_momentum(self) -> None:
        """Moves the target network."""
        self.move(self.target_net)

    @torch.no_grad()
    def encode_target(self, views: list[View], online: dict[Key, Tensor]) -> dict[Key, Tensor]:
        """Projections of the target network, (M, D)."""
        return {Key(view.number): self.target_net(view.images)[0] for view in views}

    def pair_losses(self, online: Tensor, targets: list[Tensor], terms: list[Term]) -> list[Tensor]:
        """Twice the head's loss, which for a pair of views adds up to the parent's."""
        return [2 * value for value in prediction_losses(self.head, online, targets, terms)]
