"""The records of a training step: views, mixtures, and the terms that its loss is a sum of.

Views are numbered through a step: the clean views come first (0, 1, ...), then the mixtures in the order in which the
mixer returned them. With two clean views the first mixture is view 2.

Shapes: N batch, M rows of a mixture (N, or N/2 for MixCo), C channels, H height, W width, D embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import starmap
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from typing_extensions import Self

IMAGE = "image"
"""Region of an embedding that describes the whole image."""
LOCAL = "local"
"""Region of an embedding pooled inside a mixture's box."""
GLOBAL = "global"
"""Region of an embedding pooled outside a mixture's box."""
CANVAS = "canvas"
"""Region of an embedding of the cells outside a mixture's box, by the method's own neck."""
PASTE = "paste"
"""Region of an embedding of the cells inside a mixture's box, by the method's own neck."""
ENCODER = "encoder"
"""A learned mixture that the encoder learns from, by masks without gradient."""
BLOCK = "block"
"""A learned mixture that the network which makes the masks learns from, through a frozen encoder."""


class MixedView(NamedTuple):
    """A batch of mixed images and everything needed to say what each row is made of.

    Row i shows ``lam[i]`` of image ``index[i]`` of view ``source`` and ``1 - lam[i]`` of image ``partner[i]`` of view
    ``partner_view``. A named tuple of tensors, so that it passes through distributed wrappers and the data dict.

    Attributes:
        images: Mixed pixels, (M, C, H, W), in the dtype and on the device of the clean views; None where a learned
            mixer leaves the pixels to the model, or where hidden features are mixed.
        source: Number of the clean view the own images come from.
        partner_view: Number of the clean view the partner images come from, usually ``source``; behind the clean views
            for crops that are there to be mixed in alone, which the method does not get.
        index: Own image of each row, (M,), int64, in [0, N).
        partner: Image mixed into each row, (M,), int64, in [0, N).
        lam: Weight of the own image, (M,), float32, in [0, 1]; for boxes recomputed after clipping.
        mask: The own image's weight per pixel, (M, 1, H, W), in [0, 1], with mean ``lam`` per row; may be an expanded
            view of less memory. None where a learned mixer has yet to make it.
        boxes: Pasted region (top, left, bottom, right) in pixels, half-open, (M, 4), int64; None for mixtures without
            a box.
        layer: Module of the backbone whose output is mixed by ``lam`` in place of pixels, with a row per image of view
            ``source``; None for mixtures of pixels.
        learned: Who learns from a mixture whose mask a network makes, ENCODER or BLOCK; None for other mixtures.
        stacked: Place, among several mixers, of the one that made it.
    """

    images: Tensor | None
    source: int
    partner_view: int
    index: Tensor  # type: ignore[assignment]  # takes the name of the method that every tuple has
    partner: Tensor
    lam: Tensor
    mask: Tensor | None = None
    boxes: Tensor | None = None
    layer: str | None = None
    learned: str | None = None
    stacked: int = 0


class EmbeddingId(NamedTuple):
    """Names one embedding of a step: the view it is computed from and the region it is pooled over."""

    view: int
    region: str = IMAGE

    def numbered(self, number: Callable[[int], int]) -> EmbeddingId:
        """The same embedding of a view under another number."""
        return self._replace(view=number(self.view))


class Blend(NamedTuple):
    """A target that is a weighted mean of embeddings; only targets are blended.

    Attributes:
        parts: What it is the mean of, each an embedding, its row for each row of the online embedding, (M,), int64, or
            None for the identity, and its weight, a number or (M,). Weights add up to 1.
    """

    parts: tuple[tuple[EmbeddingId, Tensor | None, Tensor | float], ...]

    @property
    def view(self) -> int:
        """That of the first part."""
        return self.parts[0][0].view

    @property
    def region(self) -> str:
        """That of the parts."""
        return self.parts[0][0].region

    def of(self, embeddings: Mapping[EmbeddingId, Tensor]) -> Tensor:
        """The mean of what the parts name, (M, D), in fp32."""
        means = []
        for eid, rows, weight in self.parts:
            rows_of = embeddings[eid].float() if rows is None else embeddings[eid][rows].float()
            means.append(rows_of * (weight[:, None] if isinstance(weight, Tensor) else weight))
        return torch.stack(means).sum(dim=0)

    def numbered(self, number: Callable[[int], int]) -> Blend:
        """The same blend of views under other numbers."""
        return Blend(tuple((eid.numbered(number), *rest) for eid, *rest in self.parts))  # type: ignore[misc]


def evenly(ids: Sequence[EmbeddingId]) -> EmbeddingId | Blend:
    """The mean of embeddings as a target; a single one is its own."""
    return ids[0] if len(ids) == 1 else Blend(tuple((eid, None, 1 / len(ids)) for eid in ids))


class View(NamedTuple):
    """A batch that a method is about to encode.

    Attributes:
        number: Of the view: clean views first, then mixtures.
        images: (M, C, H, W).
        regions: Regions whose embeddings the step's terms name.
        boxes: (M, 4), where a region other than the image is asked for.
        hidden: The mixture to make of the images' features in a layer of the backbone; the images are clean then.
    """

    number: int
    images: Tensor
    regions: tuple[str, ...] = (IMAGE,)
    boxes: Tensor | None = None
    hidden: MixedView | None = None


def select(views: Sequence[View], ids: Iterable[EmbeddingId]) -> list[View]:
    """The views that embeddings are asked of, each with the regions that are asked for, sorted."""
    regions: dict[int, set[str]] = {}
    for number, region in ids:
        regions.setdefault(number, set()).add(region)
    selected = []
    for view in views:
        if view.number in regions:
            selected.append(view._replace(regions=tuple(sorted(regions[view.number]))))
    return selected


class _Term:
    """What all kinds of terms share.

    Attributes:
        order: In which the kinds are compared and summed.
        own_loss: Whether the method's own loss compares, which brings its own factors.
    """

    order: ClassVar[int]
    own_loss: ClassVar[bool] = False
    online: EmbeddingId
    weight: Tensor | float

    @property
    def targets(self) -> tuple[EmbeddingId, ...]:
        """Embeddings that the term compares with."""
        target: EmbeddingId | Blend = self.target  # type: ignore[attr-defined]  # ClusterTerm alone has none
        return (target,) if isinstance(target, EmbeddingId) else tuple(p[0] for p in target.parts)

    def with_weight(self, weight: Tensor | float) -> Self:
        """The same comparison under another weight."""
        return replace(self, weight=weight)  # type: ignore[type-var]  # every kind is a dataclass


@dataclass(frozen=True)
class Term(_Term):
    """One comparison that enters the loss, made by the method's own loss.

    The method compares the online embedding of ``online`` with the target embedding of ``target``, whose rows are
    reordered by ``rows``, and adds ``weight`` times the result to the loss called ``name``.

    Attributes:
        online: Embedding that receives the gradient.
        target: Embedding it is compared with, or a mean of several, for methods that are capable of it.
        rows: Row of the target for each row of the online embedding, (M,), int64; None for the identity.
        weight: Weight of the comparison: a number, or a tensor (M,) with a weight per row.
        name: Key in the loss dict; terms of the same name are summed. Must contain "loss" and not be "loss".
        negative: An online embedding that each row is told apart from besides, by methods with negatives, without
            gradient; None for none. A method finds the embedding itself here, (M, D).
    """

    online: EmbeddingId
    target: EmbeddingId | Blend
    rows: Tensor | None = None
    weight: Tensor | float = 1.0
    name: str = "loss_clean"
    negative: EmbeddingId | Tensor | None = None
    order: ClassVar[int] = 0
    own_loss: ClassVar[bool] = True

    @property
    def per_row(self) -> bool:
        """Whether the term reorders or weighs rows, as those of clean views never do."""
        return self.rows is not None or isinstance(self.weight, Tensor)

    @staticmethod
    def compare(method: Any, step: Step, terms: list[Any]) -> list[Tensor]:
        """Losses of terms of one kind that share their online embedding.

        Args:
            method: A :class:`~mixssl.models.methods.MixtureMethod`.
            step: With online and target embeddings.
            terms: At least one, all with the same ``online``.

        Returns:
            For each term a loss per row, (M,), or a scalar where the loss does not decompose over rows.
        """
        if any(map(attrgetter("negative"), terms)):
            terms = [
                replace(term, negative=step.online[term.negative].detach())
                if term.negative
                else term
                for term in terms
            ]
        return method.compare(step.online[terms[0].online], step.targets, terms)


@dataclass(frozen=True)
class Pair:
    """Two views that the method compares as it compares a pair of clean views, in as many directions.

    The method turns a pair into terms: one for an asymmetric method, two for one that predicts either view from the
    other.

    Attributes:
        first: Takes the place of clean view 0.
        second: Takes the place of clean view 1.
        rows: Row of the second view for each row of the first, a permutation, (N,), int64; None for the identity.
        weight: Weight of the comparison: a number, or a tensor (N,) with a weight per row of the first view.
        name: Key in the loss dict; as in :class:`Term`.
    """

    first: EmbeddingId
    second: EmbeddingId
    rows: Tensor | None = None
    weight: Tensor | float = 1.0
    name: str = "loss_mix"

    def swapped(self) -> Pair:
        """The same pair seen from its second view."""
        if self.rows is None:
            return replace(self, first=self.second, second=self.first)
        inverse = self.rows.argsort()
        weight = self.weight[inverse] if isinstance(self.weight, Tensor) else self.weight
        return Pair(self.second, self.first, inverse, weight, self.name)


@dataclass(frozen=True)
class TwoWayTerm(_Term):
    """One comparison of a mixture with its two images alone: which of them is it more like?

    Attributes:
        online: Embedding of the mixture, M rows.
        target: Embedding whose rows are the images, N rows.
        index: Own image of each row, (M,), int64, in [0, N).
        partner: Image mixed into each, (M,), int64, in [0, N).
        lam: How much of the own image each row shows, (M,), in [0, 1].
        temperature: Softmax temperature; must be positive. None takes the method's own.
        weight: Weight of the comparison.
        name: Key in the loss dict; as in :class:`Term`.
    """

    online: EmbeddingId
    target: EmbeddingId
    index: Tensor
    partner: Tensor
    lam: Tensor
    temperature: float | None = None
    weight: Tensor | float = 1.0
    name: str = "loss_mix"
    order: ClassVar[int] = 1

    @staticmethod
    def compare(method: Any, step: Step, terms: list[Any]) -> list[Tensor]:
        """See :meth:`Term.compare`."""
        return [
            method.two_way_loss(step.online[term.online], step.targets[term.target], term)
            for term in terms
        ]


@dataclass(frozen=True)
class SoftTerm(_Term):
    """One comparison with all candidates at once: a soft cross-entropy over a batch of targets and the bank.

    Attributes:
        online: Embedding that receives the gradient, M rows.
        target: Embedding whose N rows, with the method's bank, are the candidates.
        positives: Rows of the target that each row of the online embedding belongs to, (M, P), int64, in [0, N).
        shares: How much it belongs to each, (M, P), summing to 1 over P.
        temperature: Softmax temperature; must be positive. None takes the method's own.
        weight: Weight of the comparison.
        name: Key in the loss dict; as in :class:`Term`.
        log_of_sum: Whether the logarithm is taken of the shares' sum of probabilities, not of each.
    """

    online: EmbeddingId
    target: EmbeddingId
    positives: Tensor
    shares: Tensor
    temperature: float | None = None
    weight: Tensor | float = 1.0
    name: str = "loss_mix"
    log_of_sum: bool = False
    order: ClassVar[int] = 2

    @staticmethod
    def compare(method: Any, step: Step, terms: list[Any]) -> list[Tensor]:
        """See :meth:`Term.compare`."""
        return [
            method.soft_loss(step.online[term.online], step.targets[term.target], term)
            for term in terms
        ]


@dataclass(frozen=True)
class ClusterTerm(_Term):
    """One comparison with the clusters of the batch's images: a cross-entropy of a classifier, without a target.

    Attributes:
        online: Embedding that is classified, M rows.
        index: Own image of each row, (M,), int64, in [0, N); None for a clean view, whose rows are the images.
        partner: Image mixed into each, (M,), int64, in [0, N).
        lam: How much of the own image each row shows, (M,), in [0, 1].
        weight: Weight of the comparison.
        name: Key in the loss dict; as in :class:`Term`.
        two_way: Whether only the clusters of a row's two images are told apart, whatever others there are.
    """

    online: EmbeddingId
    index: Tensor | None = None
    partner: Tensor | None = None
    lam: Tensor | None = None
    weight: Tensor | float = 1.0
    name: str = "loss_mix"
    two_way: bool = False
    order: ClassVar[int] = 3

    @property
    def targets(self) -> tuple[EmbeddingId, ...]:
        """Nothing: the clusters are known."""
        return ()

    @staticmethod
    def compare(method: Any, step: Step, terms: list[Any]) -> list[Tensor]:
        """See :meth:`Term.compare`."""
        return [
            method.clusters.term_loss(step.online[term.online], step.labels, term) for term in terms
        ]


AnyTerm = Term | TwoWayTerm | SoftTerm | ClusterTerm
"""What the loss of a step is a list of."""


@dataclass
class Step:
    """A training step as far as it has got.

    Attributes:
        inputs: Clean views, each (N, C, H, W).
        mixtures: Of the clean views, in the order of their numbers.
        data_samples: Of the batch; None where nobody reads them.
        terms: What the encoder learns from.
        block_terms: What a network that makes masks learns from, through a frozen encoder.
        online_ids: Embeddings that the online encoder computes.
        target_ids: Embeddings that terms compare with.
        online: Embeddings computed so far, with gradient.
        targets: What terms compare with, as computed so far.
        places: Of the batch's images in the training set, (N,), int64; None for a model without clusters.
        labels: Clusters of the batch's images, (N,), int64; None for a model without clusters.
    """

    inputs: list[Tensor]
    mixtures: list[MixedView]
    data_samples: Sequence[Any] | None = None
    terms: list[AnyTerm] = field(default_factory=list)
    block_terms: list[AnyTerm] = field(default_factory=list)
    online_ids: list[EmbeddingId] = field(default_factory=list)
    target_ids: list[EmbeddingId] = field(default_factory=list)
    online: dict[EmbeddingId, Tensor] = field(default_factory=dict)
    targets: dict[EmbeddingId, Tensor] = field(default_factory=dict)
    places: Tensor | None = None
    labels: Tensor | None = None

    @property
    def views(self) -> list[View]:
        """What can be encoded, by number: the clean views and the mixtures, learned ones once they are rendered."""
        views = list(starmap(View, enumerate(self.inputs)))
        for number, mixture in enumerate(self.mixtures, start=len(self.inputs)):
            if mixture.layer is not None:  # features are mixed inside the backbone, of clean images
                views.append(View(number, self.inputs[mixture.source], hidden=mixture))
            elif mixture.images is not None:
                views.append(View(number, mixture.images, boxes=mixture.boxes))
        return views
