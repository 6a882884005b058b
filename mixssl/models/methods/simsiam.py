"""SimSiam: each view predicts the projection of the other, which receives no gradient."""

from typing import Any

from mmpretrain.models import SimSiam
from torch import Tensor

from mixssl.models.methods.base import MixtureMethod
from mixssl.models.methods.prediction import prediction_losses
from mixssl.registry import MODELS
from mixssl.structures import EmbeddingId, Term, View, evenly
from mixssl.utils.errors import require


@MODELS.register_module()
class MixSimSiam(MixtureMethod, SimSiam):
    """mmpretrain's SimSiam with mixtures (Chen and He 2021).

    Without a mixer the parent, bit by bit, the factor 1/2 of its loss included. A mixture predicts the projections of
    its images, each weighed by its share: pairing="cross" of UnMixHead. With "mutual" the images also predict the
    mixture's projection, which is Un-Mix's Algorithm 1 and costs no further forward pass: targets are the projections
    that are there already. The predictor sees a view once, whatever the number of its targets.

    With more than two views each predicts the mean of the others' projections (FastSiam, Pototzky et al. 2022), as
    they are, not normalised; the loss is the mean over the views.

    Args:
        *args: Of mmpretrain's SimSiam.
        num_views: Clean views, >= 2; FastSiam has 4.
        **kwargs: Of mmpretrain's SimSiam (backbone, neck, head, data_preprocessor, ...) and ``mix_head``, ``joint_bn``.

    Raises:
        ValueError: If ``num_views`` is less than 2, or a batch has fewer views.
    """

    capabilities = frozenset({"rows", "blends", "cells"})
    targets_are_online = True

    def __init__(self, *args: Any, num_views: int = 2, **kwargs: Any) -> None:
        require(">= 2", self, "FastSiam has 4", num_views=num_views)
        super().__init__(*args, **kwargs)
        self.num_views = num_views

    def check_batch(self, inputs: list[Tensor]) -> None:
        """Raises a ValueError where views or images are missing."""
        super().check_batch(inputs)
        if len(inputs) < self.num_views:
            raise ValueError(
                f"MixSimSiam got {len(inputs)} views and needs {self.num_views}: set num_views of MultiView to "
                f"{self.num_views}, or num_views of the model to {len(inputs)}"
            )

    def clean_terms(self, clean: int) -> list[Term]:
        """Each view predicts the mean of the others' projections: of two views each the other's."""
        ids = [EmbeddingId(view) for view in range(min(clean, self.num_views))]
        others = [evenly([eid for eid in ids if eid != own]) for own in ids]
        return [
            Term(own, other, weight=2 / len(ids)) for own, other in zip(ids, others, strict=True)
        ]

    def encode_target(
        self, views: list[View], online: dict[EmbeddingId, Tensor]
    ) -> dict[EmbeddingId, Tensor]:
        """The online projections, cut off from the gradient."""
        targets = super().encode_target(views, online)
        return {eid: target.detach() for eid, target in targets.items()}

    def predict(self, online: Tensor) -> Tensor:
        """The prediction of the target."""
        return self.head.predictor([online])[0]

    def pair_losses(self, online: Tensor, targets: list[Tensor], terms: list[Term]) -> list[Tensor]:
        """Half the head's loss, which for a pair of views adds up to the parent's."""
        return [0.5 * value for value in prediction_losses(self.head, online, targets, terms)]
