"""i-Mix's label assignment: virtual labels within the batch, mixed as the images are."""

from collections.abc import Sequence
from typing import ClassVar

from mixssl.models.heads.base import MixHead
from mixssl.models.heads.mixco_head import semi_positive_terms
from mixssl.registry import MODELS
from mixssl.structures import EmbeddingId, MixedView, SoftTerm, Term
from mixssl.utils.errors import require


@MODELS.register_module()
class IMixHead(MixHead):
    """N-pair form of i-Mix (Lee et al. 2021, §3): cross-entropy with mixed virtual labels.

    Every image of the batch is a class, its embedding in the other view the class's weight; on MoCo the bank adds more
    classes, as in the authors' code. The label of a mixture is λ of its own class and 1-λ of its partner's. As in the
    paper the clean loss is left out, so a step costs what it costs without mixtures. The arithmetic is MixCo's, at the
    method's own temperature. Classes are the images of this device, and those that the method's candidates add.

    Args:
        temperature: Of the softmax, > 0; None for the method's own.
        keep_clean: Whether the method's clean loss stays, at full weight.
        loss_weight: Factor on the mixture's terms, >= 0.
        warmup_epochs: Epochs over which the factor rises from 0, >= 0; only where the clean loss stays.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    requirements: ClassVar[frozenset[str]] = frozenset({"candidates"})

    def __init__(
        self,
        temperature: float | None = None,
        keep_clean: bool = False,
        loss_weight: float = 1.0,
        warmup_epochs: float = 0.0,
    ) -> None:
        super().__init__(loss_weight, warmup_epochs, keep_clean)
        require("> 0", self, "None takes the method's own", temperature=temperature)
        self.temperature = temperature

    def terms(self, mixtures: Sequence[MixedView], clean: int) -> list[SoftTerm]:
        """See :meth:`MixHead.terms`."""
        return semi_positive_terms(mixtures, clean, self.temperature, self.weight)


@MODELS.register_module()
class IMixPredictHead(MixHead):
    """BYOL form of i-Mix (Lee et al. 2021, §3): a mixture predicts both targets, by λ and 1-λ.

    For methods without negatives. The loss is λ times the distance to the own target plus 1-λ times that to the
    partner's, as in the authors' code; the paper writes the distance to the normalised mixture of the targets, whose
    cosine differs by a factor per row, the length of that mixture.

    Args:
        keep_clean: Whether the method's clean loss stays, at full weight.
        loss_weight: Factor on the mixture's terms, >= 0.
        warmup_epochs: Epochs over which the factor rises from 0, >= 0; only where the clean loss stays.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def __init__(
        self, keep_clean: bool = False, loss_weight: float = 1.0, warmup_epochs: float = 0.0
    ) -> None:
        super().__init__(loss_weight, warmup_epochs, keep_clean)

    def terms(self, mixtures: Sequence[MixedView], clean: int) -> list[Term]:
        """See :meth:`MixHead.terms`."""
        weight = self.weight
        return [
            Term(EmbeddingId(number), EmbeddingId(target), rows, weight * share, "loss_mix")
            for number, mixture in enumerate(mixtures, start=clean)
            for target in range(clean)
            if target != mixture.source
            for rows, share in ((mixture.index, mixture.lam), (mixture.partner, 1 - mixture.lam))
        ]
