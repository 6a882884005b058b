"""What every mix head is: mixtures in, terms out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from mmengine.model import BaseModule

from mixssl.mixing import Mixer
from mixssl.structures import MixedView, SoftTerm, Term

__all__ = ["MixHead"]


class MixHead(BaseModule, ABC):
    """Says which embeddings a mixture is compared with, and how much each comparison weighs. Knows no pixels.

    Attributes:
        layouts: Layouts of mixtures this head can read; see :class:`~mixssl.mixing.Mixer`.
        needs: What a method must offer for this head's terms; see :class:`~mixssl.models.methods.MixtureMethod`.

    Args:
        loss_weight: Factor on all of the head's terms, >= 0.
    """

    layouts: ClassVar[tuple[str, ...]] = ("rows",)
    needs: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        if not loss_weight >= 0:
            raise ValueError(f"loss_weight of {type(self).__name__} is {loss_weight} and must be >= 0")
        self.loss_weight = loss_weight

    @abstractmethod
    def terms(self, mixtures: Sequence[MixedView], clean: int) -> Sequence[Term | SoftTerm]:
        """Assigns labels to mixtures.

        Args:
            mixtures: In the order of their view numbers, which begin at ``clean``.
            clean: Number of clean views.

        Returns:
            The comparisons that the mixtures add to the loss.
        """

    def check_mixer(self, mixer: Mixer) -> None:
        """Raises a ValueError unless this head can read the mixer's mixtures."""
        if mixer.layout not in self.layouts:
            raise ValueError(
                f"{type(self).__name__} reads mixtures laid out as {' or '.join(self.layouts)}, "
                f"and {type(mixer).__name__} makes them as {mixer.layout}: choose the head made for this mixer"
            )
