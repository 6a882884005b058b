"""Un-Mix's label assignment: a mixture belongs to both of its images, by λ."""

from collections.abc import Sequence
from typing import ClassVar

from mixssl.mixing import Layout, Mixer
from mixssl.models.heads.base import MixHead
from mixssl.registry import MODELS
from mixssl.structures import EmbeddingId, MixedView, Pair, Term
from mixssl.utils.errors import require_one_of


@MODELS.register_module()
class UnMixHead(MixHead):
    """λ·L(m, x1) + (1-λ)·L(flip(m), x1) of Un-Mix (Shen et al. 2020, eq. 5), or L(m0, m1) of its eq. 4.

    Comparing the mixture with its partners' targets stands for the reverse order, whose embeddings are those of the
    mixture in another order: under batch normalisation the encoder commutes with reordering the batch. The authors'
    CIFAR code reorders the embedding, which is the same. Targets in place of reordered embeddings also allow a λ per
    row, any partner, and MixCo's mixtures of half the batch, which a method without negatives can learn from in this
    way.

    Args:
        pairing: What a mixture of view s is compared with: ``"cross"``, every clean view but s (the paper); ``"own"``,
            view s alone, which Algorithm 1 says may be better on some data sets; ``"all"``, both (the authors' CIFAR
            code); ``"mutual"``, as "cross", and where the method predicts clean views from each other the clean view
            also predicts the mixture (the paper's Algorithm 1, which calls the method on the pair; ``index`` and
            ``partner`` must be permutations of the batch, as MixCo's are not); ``"mixed"``, the next mixture, at full
            weight and as the method compares two clean views (the paper's mixing of both branches; the mixer must mix
            two views with the same λ, box and partner).
        loss_weight: Factor on the mixture's terms, >= 0.
        warmup_epochs: Epochs over which the factor rises from 0, >= 0.
        keep_clean: Whether the method's clean loss stays; without it AMix's Figure 2 (b) learns from mixtures alone.

    Raises:
        ValueError: If ``pairing`` is none of the five; if it is "mixed" and the mixer mixes one view, or "mixed" or
            "mutual" and the mixer mixes halves.
    """

    layouts = (Layout.ROWS, Layout.HALF)
    pairings: ClassVar[tuple[str, ...]] = ("cross", "own", "all", "mutual", "mixed")

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
        self.targets_mixtures = pairing in ("mutual", "mixed")

    def check_mixer(self, mixer: Mixer) -> None:
        """Raises a ValueError unless this head can read the mixer's mixtures, and they are as many as it pairs."""
        super().check_mixer(mixer)
        if mixer.layout == Layout.HALF and self.pairing in ("mutual", "mixed"):
            raise ValueError(
                f"pairing of UnMixHead is {self.pairing!r}, which compares whole batches, and "
                f"{type(mixer).__name__} mixes one half with the other: set pairing='cross', 'own' or 'all'"
            )
        if self.pairing == "mixed":
            self._require_two(len(getattr(mixer, "views", (0, 1))))

    def _require_two(self, mixtures: int) -> None:
        if mixtures < 2:
            raise ValueError(
                f"pairing='mixed' of UnMixHead compares mixtures of two views and got {mixtures}: "
                "set views=(0, 1) in the mixer"
            )

    def terms(self, mixtures: Sequence[MixedView], clean: int) -> list[Term | Pair]:
        """See :meth:`MixHead.terms`."""
        if self.pairing == "mixed":
            return self._mixed_terms(mixtures, clean)
        compare = Pair if self.pairing == "mutual" else Term
        weight, terms = self.weight, []
        for number, mixture in enumerate(mixtures, start=clean):
            online, lam = EmbeddingId(number), mixture.lam
            for view in range(clean):
                own = view == mixture.source
                if self.pairing == "all" or own == (self.pairing == "own"):
                    target = EmbeddingId(view)
                    # By λ a row belongs to its own image, by the rest, in reverse order, to the partner.
                    terms += [
                        compare(online, target, mixture.index, weight * lam, "loss_mix"),
                        compare(online, target, mixture.partner, weight * (1 - lam), "loss_mix"),
                    ]
        return terms

    def _mixed_terms(self, mixtures: Sequence[MixedView], clean: int) -> list[Term | Pair]:
        """Every mixture but the last against its successor: nothing to weigh, both hold the same images."""
        self._require_two(len(mixtures))
        last = clean + len(mixtures) - 1
        return [
            Pair(EmbeddingId(number), EmbeddingId(number + 1), None, self.weight, "loss_mix")
            for number in range(clean, last)
        ]
