"""RegionCL's label assignment: each region of a mixture belongs to its own image, and not to the other's."""

from collections.abc import Sequence
from typing import ClassVar

from mixssl.mixing import Layout
from mixssl.models.heads.base import MixHead
from mixssl.registry import MODELS
from mixssl.structures import CANVAS, PASTE, EmbeddingId, MixedView, Term


@MODELS.register_module()
class RegionCLHead(MixHead):
    """Compares what is outside of a mixture's box with its own image, what is inside with its partner (RegionCL).

    From "RegionCL: Exploring Contrastive Region Pairs for Self-Supervised Representation Learning" (Xu et al. 2022).
    The mean over both regions of all rows, against each clean view but the mixture's own. For methods with negatives
    the other region of the same row is one more, without gradient; for others the two comparisons are all there is.
    Regions are averaged over the cells of the backbone's last map and go through the method's own neck; the whole
    mixture has no embedding.

    Args:
        loss_weight: Factor on the regions' terms, >= 0; the paper has 1.
        warmup_epochs: Epochs over which the factor rises from 0, >= 0.
        other_region: Whether the other region is a negative.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    layouts = (Layout.CELLS,)
    requirements: ClassVar[frozenset[str]] = frozenset({"cells"})

    def __init__(
        self, loss_weight: float = 1.0, warmup_epochs: float = 0.0, other_region: bool = True
    ) -> None:
        super().__init__(loss_weight, warmup_epochs)
        self.other_region = other_region

    def terms(self, mixtures: Sequence[MixedView], clean: int) -> list[Term]:
        """See :meth:`MixHead.terms`."""
        terms, weight = [], self.weight / 2
        for number, mixture in enumerate(mixtures, start=clean):
            canvas, paste = EmbeddingId(number, CANVAS), EmbeddingId(number, PASTE)
            compared = (canvas, paste, mixture.index), (paste, canvas, mixture.partner)
            for view in range(clean):
                if view == mixture.source:
                    continue
                for own, other, rows in compared:
                    negative = other if self.other_region else None
                    terms.append(
                        Term(own, EmbeddingId(view), rows, weight, "loss_region", negative)
                    )
        return terms
