"""Label assignment for mixtures of crops of one image: there is nothing to weigh."""

from collections.abc import Sequence

from mixssl.mixing import Layout, Mixer
from mixssl.models.heads.base import MixHead
from mixssl.registry import MODELS
from mixssl.structures import EmbeddingId, MixedView, Term


@MODELS.register_module()
class ScaleMixHead(MixHead):
    """Has a mixture of crops take the place of its view (ScaleMix, Wang et al. 2022; CropMix, Han et al. 2022).

    The mixture of view s is compared with every clean view but s, at full weight. As in the papers the clean loss is
    left out, so a step costs what it costs without mixtures.

    Args:
        keep_clean: Whether the method's clean loss stays, at full weight.
        loss_weight: Factor on the mixture's terms, >= 0.
        warmup_epochs: Epochs over which the factor rises from 0, >= 0; only where the clean loss stays.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    layouts = (Layout.CROPS,)

    def __init__(
        self, keep_clean: bool = False, loss_weight: float = 1.0, warmup_epochs: float = 0.0
    ) -> None:
        super().__init__(loss_weight, warmup_epochs, keep_clean)

    def asks(self, mixer: Mixer) -> frozenset[str]:
        """See :meth:`MixHead.asks`; λ is weighed by nowhere, and may differ from image to image."""
        return super().asks(mixer) - {"rows"}

    def terms(self, mixtures: Sequence[MixedView], clean: int) -> list[Term]:
        """See :meth:`MixHead.terms`."""
        return [
            Term(EmbeddingId(number), EmbeddingId(view), weight=self.weight, name="loss_mix")
            for number, mixture in enumerate(mixtures, start=clean)
            for view in range(clean)
            if view != mixture.source
        ]
