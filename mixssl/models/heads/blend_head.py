"""Label assignment where the target is a mixture too: the mean of the images' embeddings."""

from collections.abc import Sequence
from typing import ClassVar

from mixssl.mixing import Mixer
from mixssl.models.heads.base import MixHead
from mixssl.registry import MODELS
from mixssl.structures import Blend, EmbeddingId, MixedView, Term
from mixssl.utils.errors import require_one_of


@MODELS.register_module()
class BlendHead(MixHead):
    """One comparison of a mixture, with λ of its own image's embedding and 1 - λ of its partner's.

    Un-Mix compares a mixture with both images and weighs the losses; here the targets are weighed, and there is one
    loss. Each row's own λ weighs its target, also where a method's loss is one of the batch.

    Args:
        pairing: Whose embeddings: ``"cross"``, those in all clean views but the mixture's own, evenly, which a
            FastSiam of several views predicts; ``"own"``, those of the views that the mixture shows, as in Mixed
            Barlow Twins (Bandara et al. 2023).
        loss_weight: Factor on the mixture's terms, >= 0; λ_reg of Mixed Barlow Twins.
        warmup_epochs: Epochs over which the factor rises from 0, >= 0.
        keep_clean: Whether the method's clean loss stays, at full weight.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    requirements: ClassVar[frozenset[str]] = frozenset({"blends"})
    pairings: ClassVar[tuple[str, ...]] = ("cross", "own")

    def __init__(
        self,
        pairing: str = "cross",
        loss_weight: float = 1.0,
        warmup_epochs: float = 0.0,
        keep_clean: bool = True,
    ) -> None:
        super().__init__(loss_weight, warmup_epochs, keep_clean)
        require_one_of(self.pairings, self, pairing=pairing)
        self.pairing = pairing

    def asks(self, mixer: Mixer) -> frozenset[str]:
        """See :meth:`MixHead.asks`; λ is in the target, and may differ from image to image."""
        return super().asks(mixer) - {"rows"}

    def terms(self, mixtures: Sequence[MixedView], clean: int) -> list[Term]:
        """See :meth:`MixHead.terms`."""
        return [
            Term(EmbeddingId(number), self._target(mixture, clean), None, self.weight, "loss_mix")
            for number, mixture in enumerate(mixtures, start=clean)
        ]

    def _target(self, mixture: MixedView, clean: int) -> Blend:
        """The mean of what the mixture shows."""
        pairs = [(mixture.source, mixture.partner_view)]
        if self.pairing == "cross":
            pairs = [(view, view) for view in range(clean) if view != mixture.source]
        share = 1 / len(pairs)
        parts = []
        for own, other in pairs:
            parts.append((EmbeddingId(own), mixture.index, share * mixture.lam))
            parts.append((EmbeddingId(other), mixture.partner, share * (1 - mixture.lam)))
        return Blend(tuple(parts))
