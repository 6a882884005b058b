"""Label assignment where a teacher sees the mixture too: there is nothing to weigh."""

from collections.abc import Sequence

from mixssl.mixing import Layout, Mixer
from mixssl.models.heads.base import MixHead
from mixssl.registry import MODELS
from mixssl.structures import BLOCK, EmbeddingId, MixedView, Term


@MODELS.register_module()
class DistillHead(MixHead):
    """Compares a mixture with what a frozen teacher makes of the same mixture (Beyer et al. 2022, "function matching").

    Inputs are mixed and labels are not: whatever the mixture shows, the teacher says what it is. So any mixer will do
    that makes pixels. For mixed labels, the targets of the mixture's images, take UnMixHead or BlendHead with
    pairing="own".

    A network that makes masks (AMix) learns from the teacher's features of both images, by λ and 1 - λ.

    Args:
        keep_clean: Whether unmixed images are learned too, at full weight, which doubles a step's cost.
        loss_weight: Factor on the mixture's terms, >= 0.
        warmup_epochs: Epochs over which the factor rises from 0, >= 0; only where unmixed images are learned.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    layouts = tuple(layout for layout in Layout if layout != Layout.SCALES)
    requirements = frozenset({"teacher"})
    targets_mixtures = True

    def __init__(
        self, keep_clean: bool = False, loss_weight: float = 1.0, warmup_epochs: float = 0.0
    ) -> None:
        super().__init__(loss_weight, warmup_epochs, keep_clean)

    def asks(self, mixer: Mixer) -> frozenset[str]:
        """See :meth:`MixHead.asks`; λ may differ from image to image."""
        return super().asks(mixer) - {"rows"}

    def terms(self, mixtures: Sequence[MixedView], clean: int) -> list[Term]:
        """See :meth:`MixHead.terms`; what the network that makes masks learns from is called ``loss_block``."""
        found = []
        for number, mixture in enumerate(mixtures, start=clean):
            online = EmbeddingId(number)
            if mixture.learned == BLOCK:
                image, lam = EmbeddingId(mixture.source), mixture.lam
                found += [
                    Term(online, image, mixture.index, lam, "loss_block"),
                    Term(online, image, mixture.partner, 1 - lam, "loss_block"),
                ]
            else:
                found.append(Term(online, online, weight=self.weight, name="loss_mix"))
        return found
