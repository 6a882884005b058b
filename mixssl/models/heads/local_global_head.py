"""Label assignment of local/global CutMix: mixtures compared whole, inside their boxes and outside."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from mixssl.mixing import Layout
from mixssl.models.heads.base import MixHead
from mixssl.registry import MODELS
from mixssl.structures import GLOBAL, IMAGE, LOCAL, EmbeddingId, MixedView, Term
from mixssl.utils.errors import require


class _LocalGlobalHead(MixHead):
    """What both approaches share: weights of the terms, and which mixture is compared with which.

    Args:
        original: Weight of the method's clean terms, >= 0.
        mixed: Weight of the mixture against the clean view, >= 0.
        global_global: Weight of the outside of one mixture's box against the outside of the other's, >= 0.
        local_local: Weight of the inside against the inside, >= 0.
        symmetric: Whether to compare the second mixture with the first as well as the first with the second.
        loss_weight: Factor on all terms but the clean ones, >= 0.
        warmup_epochs: Epochs over which that factor rises from 0, >= 0.
    """

    def __init__(
        self,
        original: float = 1.0,
        mixed: float = 1.0,
        global_global: float = 1.0,
        local_local: float = 1.0,
        symmetric: bool = False,
        loss_weight: float = 1.0,
        warmup_epochs: float = 0.0,
    ) -> None:
        super().__init__(loss_weight, warmup_epochs)
        weights = {"mixed": mixed, "global_global": global_global, "local_local": local_local}
        require(">= 0", self, "0 leaves the term out", original=original, **weights)
        self.clean_weight = original
        self.mixed, self.global_global, self.local_local = mixed, global_global, local_local
        self.symmetric = symmetric

    def terms(self, mixtures: Sequence[MixedView], clean: int) -> list[Term]:
        """See :meth:`MixHead.terms`; terms of weight 0 are left out, and so is what only they would compute."""
        if len(mixtures) != 2 or any(mixture.boxes is None for mixture in mixtures):
            raise ValueError(
                f"{type(self).__name__} compares two mixtures with boxes and got {len(mixtures)} mixtures: "
                "let the mixer be mixssl.InterCutMix or mixssl.IntraCutMix"
            )
        first, second = enumerate(mixtures, start=clean)
        ways = [(first, second), (second, first)] if self.symmetric else [(first, second)]
        return [term for own, other in ways for term in self._one_way(*own, *other)]

    @abstractmethod
    def _one_way(self, own: int, mixture: MixedView, other: int, its: MixedView) -> list[Term]:
        """Compares a mixture, of view number ``own``, with the ``other`` and with the clean view it is made from."""


@MODELS.register_module()
class InterLocalGlobalHead(_LocalGlobalHead):
    r"""Terms for mixtures within the batch (local/global CutMix, Lam 2022, approach 2, eq. 8).

    .. math:: L_{ori} + λ (L_{mixed} + L_{GG} + L_{LL}) + (1 - λ) (L^R_{mixed} + L^R_{GG} + L^R_{LL})

    The mixture of view 0 is compared with the clean view 1, its inside and outside with those of the mixture of view
    1. R reverses the order of the queries, which is the same as comparing them with their partners' targets: nothing
    is encoded twice. λ is the share that the *query* mixture's own clipped box leaves, as in the authors' code; the
    key mixture's, whose box is another, enters nowhere.

    In eq. 8 and in the authors' code the reversed region terms pull together regions that show different images (the
    outside of row i shows image i, the inside its partner, in both mixtures). ``reverse_regions=False`` leaves them
    out.

    Args:
        original: Weight of the method's clean terms, >= 0.
        mixed: Weight of the mixture against the clean view, >= 0; alone with ``original`` it is the paper's
            "MoCo + CutMix".
        global_global: Weight of outside against outside, >= 0.
        local_local: Weight of inside against inside, >= 0.
        reverse_mixed: Whether the mixture is compared in reverse order too, as in eq. 8 and in the authors' script for
            "MoCo + CutMix", of which the paper prints L_ori + λ L_mixed alone (§4.1).
        reverse_regions: Whether the region terms are repeated in reverse order, as in eq. 8.
        original_key: Whether the outside is compared with the clean view's embedding, as in the authors' code,
            instead of with the outside of the other mixture. MoCo then takes the original queue and needs no global
            one.
        symmetric: Whether the mixture of view 1 is a query too, compared with view 0; for symmetric methods.
        loss_weight: Factor on all terms but the clean ones, >= 0.
        warmup_epochs: Epochs over which that factor rises from 0, >= 0.

    Raises:
        ValueError: If a weight is negative.
    """

    layouts = (Layout.CUT_BATCHES,)

    def __init__(
        self,
        *,
        reverse_mixed: bool = True,
        reverse_regions: bool = True,
        original_key: bool = False,
        **weights: Any,
    ) -> None:
        super().__init__(**weights)
        self.reverse_mixed, self.reverse_regions = reverse_mixed, reverse_regions
        self.original_key = original_key
        self.requirements = _regions_if(self.global_global or self.local_local)  # type: ignore[misc]  # follows the arguments

    def _one_way(self, own: int, mixture: MixedView, other: int, its: MixedView) -> list[Term]:
        """The six comparisons of eq. 8 in one direction."""
        lam, weight = mixture.lam, self.weight
        outside = EmbeddingId(its.source) if self.original_key else EmbeddingId(other, GLOBAL)
        compared = [
            (self.mixed, EmbeddingId(own, IMAGE), EmbeddingId(its.source), "loss_mix"),
            (self.global_global, EmbeddingId(own, GLOBAL), outside, "loss_global"),
            (self.local_local, EmbeddingId(own, LOCAL), EmbeddingId(other, LOCAL), "loss_local"),
        ]
        terms = []
        for factor, online, target, name in compared:
            if factor:
                terms.append(Term(online, target, mixture.index, weight * factor * lam, name))
                whole = online.region == IMAGE
                if self.reverse_mixed if whole else self.reverse_regions:
                    share = weight * factor * (1 - lam)
                    terms.append(Term(online, target, mixture.partner, share, name))
        return terms


@MODELS.register_module()
class IntraLocalGlobalHead(_LocalGlobalHead):
    r"""Terms for mixtures of two views of an image (local/global CutMix, Lam 2022, approach 1, eq. 2-7).

    .. math:: L_{ori} + λ L_{mixed} + (1 - λ) (L_{GG} + L_{LL} + L_{LG})

    Everything in a row shows one image, so every comparison is row by row. The mixture of view 0 is compared with the
    clean view 1 (eq. 3), its outside with the outside of the mixture of view 1 (eq. 4), its inside with the inside
    (eq. 5) and with the outside (eq. 6). Eq. 7 as printed counts L_LL twice and misses L_GG, which the text and eq. 4
    name. Its λ is a constant, of which the paper tells no value. No code of this approach was published.

    Args:
        lam: λ of eq. 7, in [0, 1].
        original: Weight of the method's clean terms, >= 0.
        mixed: Weight of the mixture against the clean view, >= 0.
        global_global: Weight of outside against outside, >= 0.
        local_local: Weight of inside against inside, >= 0.
        local_global: Weight of inside against outside, >= 0.
        symmetric: Whether the mixture of view 1 is a query too, compared with view 0; for symmetric methods.
        loss_weight: Factor on all terms but the clean ones, >= 0.
        warmup_epochs: Epochs over which that factor rises from 0, >= 0.

    Raises:
        ValueError: If ``lam`` lies outside [0, 1] or a weight is negative.
    """

    layouts = (Layout.SWAPPED_BOXES,)

    def __init__(self, *, lam: float = 0.5, local_global: float = 1.0, **weights: Any) -> None:
        super().__init__(**weights)
        require("[0, 1]", self, lam=lam)
        require(">= 0", self, "0 leaves the term out", local_global=local_global)
        self.lam, self.local_global = lam, local_global
        regional = (1 - lam) * (self.global_global + self.local_local + local_global)
        self.requirements = _regions_if(regional)  # type: ignore[misc]  # follows the arguments

    def _one_way(self, own: int, mixture: MixedView, other: int, its: MixedView) -> list[Term]:
        """The comparisons of eq. 3 to 6 in one direction."""
        weight, rest = self.weight * self.lam, self.weight * (1 - self.lam)
        compared = [
            (weight * self.mixed, EmbeddingId(own), EmbeddingId(its.source), "loss_mix"),
            (
                rest * self.global_global,
                EmbeddingId(own, GLOBAL),
                EmbeddingId(other, GLOBAL),
                "loss_global",
            ),
            (
                rest * self.local_local,
                EmbeddingId(own, LOCAL),
                EmbeddingId(other, LOCAL),
                "loss_local",
            ),
            (
                rest * self.local_global,
                EmbeddingId(own, LOCAL),
                EmbeddingId(other, GLOBAL),
                "loss_local_global",
            ),
        ]
        return [
            Term(online, target, None, factor, name)
            for factor, online, target, name in compared
            if factor
        ]


def _regions_if(weight: float) -> frozenset[str]:
    """What a head with terms of regions of that weight needs of a method."""
    return frozenset({"regions"}) if weight else frozenset()
