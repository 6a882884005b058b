"""What every mix head is: mixtures in, terms out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar

from mmengine.logging import MessageHub
from mmengine.model import BaseModule

from mixssl.mixing import Layout, Mixer
from mixssl.structures import IMAGE, AnyTerm, Blend, EmbeddingId, MixedView, Pair
from mixssl.utils.errors import require


def epochs_done() -> float | None:
    """Epochs that the runner has trained so far, as a fraction; None where no runner trains.

    Read from mmengine's MessageHub, which holds numbers of the host: the device is not waited for. For a loop that
    counts iterations an epoch is the whole run, as it is for mmengine.
    """
    hub = MessageHub.get_current_instance()
    done, iterations, epochs = (
        hub.runtime_info.get(key) for key in ("iter", "max_iters", "max_epochs")
    )
    if done is None or not iterations:
        return None
    return float(done * (epochs or 1) / iterations)


class MixHead(BaseModule, ABC):
    """Says which embeddings a mixture is compared with, and how much each comparison weighs. Knows no pixels.

    Attributes:
        layouts: Layouts of mixtures this head can read; see :class:`~mixssl.mixing.Mixer`.
        requirements: What a method must be capable of for this head's terms; see ``capabilities`` of
            :class:`~mixssl.models.methods.MixtureMethod`.
        targets_mixtures: Whether whole mixtures are compared with, and so need a target embedding.
        clean_weight: Factor on the method's clean terms, where there are mixtures; 0 leaves them out.

    Args:
        loss_weight: Factor on all of the head's terms, >= 0.
        warmup_epochs: Epochs, or a fraction of one, >= 0, over which the factor rises linearly from 0. A training loop
            without mmengine's runner has no epochs to go by, and gets the full factor from the start.
        keep_clean: Whether the method's clean loss stays, at full weight; without it there is no warm-up.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    layouts: ClassVar[tuple[Layout, ...]] = (Layout.ROWS,)
    requirements: ClassVar[frozenset[str]] = frozenset()
    targets_mixtures: bool = False

    def __init__(
        self, loss_weight: float = 1.0, warmup_epochs: float = 0.0, keep_clean: bool = True
    ) -> None:
        super().__init__()
        require(">= 0", self, loss_weight=loss_weight, warmup_epochs=warmup_epochs)
        if warmup_epochs and not keep_clean:
            raise ValueError(
                f"warmup_epochs of {type(self).__name__} is {warmup_epochs} and would begin without any loss: "
                "set it to 0, or keep_clean=True"
            )
        self.loss_weight = loss_weight
        self.warmup_epochs = warmup_epochs
        self.clean_weight = float(keep_clean)

    @property
    def weight(self) -> float:
        """Factor on the head's terms at this step: ``loss_weight``, less while it warms up."""
        if not self.warmup_epochs:
            return self.loss_weight
        done = epochs_done()
        return (
            self.loss_weight
            if done is None
            else self.loss_weight * min(done / self.warmup_epochs, 1.0)
        )

    def scaled(self, terms: Sequence[AnyTerm]) -> list[AnyTerm]:
        """Clean terms with the weights of whole images times ``clean_weight``, without those of which nothing is left.

        What a method compares besides, as DenseCL its places, mixtures don't take the place of: it stays as it is.
        """
        factor = self.clean_weight
        return [
            term.with_weight(term.weight * factor) if term.online.region == IMAGE else term
            for term in terms
            if factor or term.online.region != IMAGE
        ]

    @abstractmethod
    def terms(self, mixtures: Sequence[MixedView], clean: int) -> Sequence[AnyTerm | Pair]:
        """Assigns labels to mixtures.

        Args:
            mixtures: In the order of their view numbers, which begin at ``clean``.
            clean: Number of clean views.

        Returns:
            The comparisons that the mixtures add to the loss.
        """

    def asks(self, mixer: Mixer) -> frozenset[str]:
        """What a method must be capable of to learn from the mixer's mixtures under this head."""
        rows = set() if mixer.shared_lam else {"rows"}
        return self.requirements | rows | ({"clusters"} if mixer.clusters else set())

    def check_mixer(self, mixer: Mixer) -> None:
        """Raises a ValueError unless this head can read the mixer's mixtures."""
        if mixer.layout not in self.layouts:
            raise ValueError(
                f"{type(self).__name__} reads mixtures laid out as {' or '.join(self.layouts)}, "
                f"and {type(mixer).__name__} makes them as {mixer.layout}: choose the head made for this mixer"
            )


def renumbered(term: Any, number: Callable[[int], int]) -> Any:
    """Gives the views that a term names their numbers in the whole step."""
    ids = {
        field.name: value.numbered(number)
        for field in fields(term)
        if isinstance(value := getattr(term, field.name), (EmbeddingId, Blend))
    }
    return replace(term, **ids)
