"""SimSiam: each view predicts the projection of the other, which receives no gradient."""

from __future__ import annotations

from mmpretrain.models import SimSiam
from torch import Tensor

from mixssl.models.methods.base import MixtureMethod
from mixssl.models.methods.prediction import prediction_losses
from mixssl.registry import MODELS
from mixssl.structures import EmbeddingId, Term, View

__all__ = ["MixSimSiam"]


@MODELS.register_module()
class MixSimSiam(MixtureMethod, SimSiam):
    """mmpretrain's SimSiam with mixtures (Chen and He 2021).

    Without a mixer the parent, bit by bit, the factor 1/2 of its loss included. A mixture predicts the projections of
    its images, each weighed by its share: pairing="cross" of UnMixHead. With "mutual" the images also predict the
    mixture's projection, which is Un-Mix's Algorithm 1 and costs no further forward pass: targets are the projections
    that are there already. The predictor sees a view once, whatever the number of its targets.

    Args:
        *args: Of mmpretrain's SimSiam.
        **kwargs: Of mmpretrain's SimSiam (backbone, neck, head, data_preprocessor, ...) and ``mix_head``, ``joint_bn``.
    """

    capabilities = frozenset({"rows"})
    targets_are_online = True

    def clean_terms(self, clean: int) -> list[Term]:
        """View 0 predicts the projection of view 1, and the other way round."""
        return [Term(EmbeddingId(0), EmbeddingId(1)), Term(EmbeddingId(1), EmbeddingId(0))]

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
