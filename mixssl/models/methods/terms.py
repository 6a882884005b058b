"""What the template of a training step does with views and terms, as pure functions."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from mixssl.structures import IMAGE, ClusterTerm, Key, MixedView, Pair, Term

__all__ = [
    "View",
    "aims_of",
    "aligned",
    "by_rows",
    "by_view",
    "mixture_views",
    "parted",
    "scaled",
    "select",
    "take",
    "turned",
    "weigh",
]


class View(NamedTuple):
    """A batch that the method is about to encode.

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


def scaled(terms: list[Any], factor: float) -> list[Any]:
    """Terms with the weights of whole images multiplied, without those of which nothing would be left.

    What a method compares besides, as DenseCL its places, mixtures don't take the place of: it stays as it is.
    """
    if factor == 1.0:
        return terms
    return [
        term._replace(weight=term.weight * factor) if term.online.region == IMAGE else term
        for term in terms
        if factor or term.online.region != IMAGE
    ]


def by_rows(term: Term) -> bool:
    """Whether a term reorders or weighs rows, as those of clean views never do."""
    return term.rows is not None or isinstance(term.weight, Tensor)


def turned(pair: Pair) -> Pair:
    """The same pair seen from its second view."""
    if pair.rows is None:
        return pair._replace(first=pair.second, second=pair.first)
    inverse = pair.rows.argsort()
    weight = pair.weight[inverse] if isinstance(pair.weight, Tensor) else pair.weight
    return Pair(pair.second, pair.first, inverse, weight, pair.name)


def aligned(pair: Pair, term: Term) -> Term:
    """A clean term carried over to a pair."""
    return Term(pair.first, pair.second, pair.rows, pair.weight * term.weight, pair.name)


def aims_of(terms: Sequence[Any]) -> list[Key]:
    """What terms compare with; those that ask for clusters compare with no embedding."""
    return [term.target for term in terms if not isinstance(term, ClusterTerm)]


def parted(terms: Sequence[Any], views: Container[int]) -> tuple[list[Any], list[Any]]:
    """Terms whose online embedding is none of the given views', and those where it is."""
    return (
        [term for term in terms if term.online.view not in views],
        [term for term in terms if term.online.view in views],
    )


def mixture_views(mixtures: Sequence[MixedView], inputs: Sequence[Tensor]) -> list[View]:
    """Numbers the mixtures on from the clean views; one of hidden features takes its view's images along."""
    views = []
    for number, mixture in enumerate(mixtures, start=len(inputs)):
        if mixture.layer is not None:
            views.append(View(number, inputs[mixture.source], hidden=mixture))
        elif mixture.images is not None:
            views.append(View(number, mixture.images, boxes=mixture.boxes))
    return views


def by_view(keys: Any) -> dict[int, tuple[str, ...]]:
    """Regions wanted of each view, sorted."""
    wanted: dict[int, set[str]] = {}
    for key in keys:
        wanted.setdefault(key.view, set()).add(key.region)
    return {view: tuple(sorted(regions)) for view, regions in wanted.items()}


def select(views: Sequence[View], wanted: dict[int, tuple[str, ...]]) -> list[View]:
    """The views that are wanted, each with the regions that are wanted of it."""
    return [view._replace(regions=wanted[view.number]) for view in views if view.number in wanted]


def take(target: Tensor, rows: Tensor | None) -> Tensor:
    """A target's rows in the order of the online embedding's."""
    return target if rows is None else target[rows]


def weigh(value: Tensor, weight: Tensor | float) -> Tensor:
    """Mean of a loss under a weight per row, or a scalar loss under the one weight that all rows share."""
    if isinstance(weight, Tensor):
        return (value * weight).mean() if value.ndim else value * weight[0]
    return value.mean() * weight if weight != 1.0 else value.mean()
