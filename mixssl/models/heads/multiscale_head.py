"""Label assignment for mixtures of views that come in several sizes."""

from collections.abc import Sequence
from typing import Any

from mixssl.mixing import Layout, Mixer, MultiScale
from mixssl.models.heads.base import MixHead, renumbered
from mixssl.registry import MODELS
from mixssl.structures import MixedView


@MODELS.register_module()
class MultiScaleHead(MixHead):
    """Lets another head assign labels within each size of views, and sums over the sizes (Un-Mix, §4.3, Fig. 7).

    No mixture is compared with a view of another size.

    Args:
        head: Config of the head that reads the mixtures of a pair of views, or the head.

    Raises:
        ValueError: If that head needs candidates, which several banks don't offer at once.
    """

    layouts = (Layout.SCALES,)

    def __init__(self, head: dict | MixHead) -> None:
        super().__init__()
        self.head: MixHead = MODELS.build(head) if isinstance(head, dict) else head
        if "candidates" in self.head.requirements:
            raise ValueError(
                f"MultiScaleHead can't carry {type(self.head).__name__}, whose softmax runs over one bank, "
                "while every size has its own: let head be mixssl.UnMixHead"
            )
        self.requirements = self.head.requirements | {"scales"}  # type: ignore[misc]
        self.clean_weight = self.head.clean_weight
        self.targets_mixtures = self.head.targets_mixtures

    def check_mixer(self, mixer: Mixer) -> None:
        """Raises a ValueError unless the mixer mixes size by size, and as the inner head can read."""
        super().check_mixer(mixer)
        assert isinstance(mixer, MultiScale)
        self.head.check_mixer(mixer.mixer)

    def terms(self, mixtures: Sequence[MixedView], clean: int) -> list[Any]:
        """See :meth:`MixHead.terms`."""
        terms = []
        for first in range(0, clean, 2):
            own = [
                (
                    number,
                    mixture._replace(
                        source=mixture.source - first, partner_view=mixture.partner_view - first
                    ),
                )
                for number, mixture in enumerate(mixtures, start=clean)
                if mixture.source // 2 == first // 2
            ]
            # What the inner head numbers 0, 1, 2, ... are this pair's two views, then this pair's mixtures.
            numbers = [first, first + 1, *(number for number, _ in own)]
            inner = self.head.terms([mixture for _, mixture in own], 2)
            terms += [renumbered(term, numbers.__getitem__) for term in inner]
        return terms
