"""AMix's label assignment, for the encoder and for the block that makes its masks."""

from collections.abc import Sequence
from typing import Any, ClassVar

from mixssl.mixing import Layout, Mixer
from mixssl.models.heads.base import MixHead
from mixssl.registry import MODELS
from mixssl.structures import BLOCK, AnyTerm, ClusterTerm, EmbeddingId, MixedView, Term, TwoWayTerm
from mixssl.utils.errors import require


@MODELS.register_module()
class AMixHead(MixHead):
    """What the encoder and the Mix Block learn from a learned mixture (AMix, §3.1 and §3.3).

    Mixtures of a view are compared with the other clean views only, the paper's cross-view pipeline. The parts:

    * ``"contrast"``: the method's own comparison with both images, by λ and 1 - λ; on MoCo the mixture infoNCE, eq. 4;
    * ``"two_way"``: the binary cross-entropy between the two images alone, eq. 6;
    * ``"cluster"``: the cross-entropy of a classifier with the clusters of both images, by λ and 1 - λ, eq. 3; the
      model must have ``clusters``;
    * ``"cluster_two_way"``: the binary cross-entropy between the two clusters alone, pBCE; likewise.

    The default is AMix-I. AMix-C is ``block=("cluster", "two_way")``: the paper names CE on pseudo-labels and BCE as
    what the block of it learns from (§3.3), through the guide and the classifier, neither of which learns from that.
    That the encoder goes on learning as in AMix-I, and that clean images train the classifier
    (:class:`~mixssl.models.methods.MixtureMethod`, ``clusters``), is our reading; with
    ``encoder=("contrast", "cluster")`` mixtures train it too. The rows of the paper's Table 7 are one option each:
    ``block=("two_way",)`` is BCE, ``("contrast",)`` infoNCE, ``("cluster",)`` CE (C), ``("cluster_two_way",)`` pBCE
    (C), two names their sum.

    Args:
        encoder: Parts that the encoder learns from, at least one.
        block: Parts that the block learns from, at least one; they reach the block alone.
        temperature: Of ``"two_way"``, > 0; None for the method's own.
        block_weight: Factor on the block's parts, >= 0. Its mask losses have their weight in the block.
        loss_weight: Factor on the encoder's parts, >= 0.
        warmup_epochs: Epochs over which the factor on the encoder's parts rises from 0, >= 0.

    Raises:
        ValueError: If a part is unknown or an argument lies outside its range.
    """

    layouts = (Layout.LEARNED,)
    parts: ClassVar[tuple[str, ...]] = ("contrast", "two_way", "cluster", "cluster_two_way")

    def __init__(
        self,
        encoder: Sequence[str] = ("contrast",),
        block: Sequence[str] = ("contrast", "two_way"),
        temperature: float | None = None,
        block_weight: float = 1.0,
        loss_weight: float = 1.0,
        warmup_epochs: float = 0.0,
    ) -> None:
        super().__init__(loss_weight, warmup_epochs)
        self.encoder = self._checked_parts("encoder", encoder)
        self.block = self._checked_parts("block", block)
        require("> 0", self, "None takes the method's own", temperature=temperature)
        require(">= 0", self, block_weight=block_weight)
        if {"cluster", "cluster_two_way"} & {*self.encoder, *self.block}:
            self.requirements = frozenset({"clusters"})  # type: ignore[misc]  # as in MultiScaleHead
        self.temperature = temperature
        self.block_weight = block_weight

    def _checked_parts(self, name: str, parts: Sequence[str]) -> tuple[str, ...]:
        """Returns the parts, or raises a ValueError where one is unknown or there is none."""
        if isinstance(parts, str) or not parts or set(parts) - set(self.parts):
            raise ValueError(
                f"{name} of AMixHead is {parts!r} and must name one or more of {', '.join(self.parts)}, "
                "like ('contrast', 'two_way')"
            )
        return tuple(dict.fromkeys(parts))

    def check_mixer(self, mixer: Mixer) -> None:
        """Raises a ValueError unless the mixer leaves its masks to a network."""
        super().check_mixer(mixer)
        if not mixer.learned:
            raise ValueError(
                f"AMixHead teaches the network that makes the masks, and {type(mixer).__name__} needs none: "
                "choose mixssl.AMix as mixer, or mixssl.UnMixHead as head"
            )

    def terms(self, mixtures: Sequence[MixedView], clean: int) -> list[AnyTerm]:
        """See :meth:`MixHead.terms`; the block's terms have names that begin with ``loss_block``."""
        found: list[AnyTerm] = []
        for number, mixture in enumerate(mixtures, start=clean):
            of_block = mixture.learned == BLOCK
            parts = self.block if of_block else self.encoder
            weight = self.block_weight if of_block else self.weight
            prefix = "loss_block" if of_block else "loss_mix"
            others = [EmbeddingId(view) for view in range(clean) if view != mixture.source]
            for part in parts:
                found += self._terms_of(part, EmbeddingId(number), others, mixture, weight, prefix)
        return found

    def _terms_of(
        self,
        part: str,
        online: EmbeddingId,
        others: list[EmbeddingId],
        mixture: MixedView,
        weight: float,
        prefix: str,
    ) -> list[Any]:
        """Terms of one part, in which a mixture is compared with the other clean views or with clusters."""
        rows = mixture.index, mixture.partner, mixture.lam
        if part == "contrast":
            shares = (mixture.index, mixture.lam), (mixture.partner, 1 - mixture.lam)
            return [
                Term(online, key, order, weight * share, prefix)
                for key in others
                for order, share in shares
            ]
        name = f"{prefix}_{part}"
        if part == "two_way":
            return [
                TwoWayTerm(online, key, *rows, self.temperature, weight, name) for key in others
            ]
        return [ClusterTerm(online, *rows, weight, name, two_way=part == "cluster_two_way")]
