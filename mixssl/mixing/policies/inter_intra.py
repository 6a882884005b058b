"""Inter-Intra: images of one cluster are blended, images of different clusters cut."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from mixssl.mixing.base import Mixer
from mixssl.mixing.deferred import Deferred, Salience
from mixssl.mixing.ops import blend, box_mask, paste
from mixssl.mixing.policies.base import rows_mixture
from mixssl.mixing.sampling import beta, cut_boxes, uniform
from mixssl.registry import MIXERS
from mixssl.structures import MixedView

__all__ = ["InterIntra", "cluster_partners"]


class _Draw(NamedTuple):
    """All that is random, on the CPU; a number per batch or per image where not said otherwise.

    Attributes:
        order: Of the images among those that look for a partner together, (N,), in [0, 1).
        inside: Whether an image looks for a partner in its own cluster, (N,), bool.
        lam: Of blends, (1,) or (N,).
        boxes: Of cuts, (1, 4) or (N, 4).
        left: What the boxes leave of the own image, (1,) or (N,).
    """

    order: Tensor
    inside: Tensor
    lam: Tensor
    boxes: Tensor
    left: Tensor


@MIXERS.register_module()
class InterIntra(Mixer):
    """MixUp within clusters, CutMix between them (AMix, Liu et al. 2022, §3.1 and Table 4, "MoCo.V2 (C)").

    The paper finds MixUp with a large alpha best where both images are of one cluster, and CutMix with a small alpha
    where they are not; the clusters are pseudo-labels, so the model must have ``clusters``. Its figure's values of
    alpha are not in its text: the defaults are the ends of the grid that it searches elsewhere (§4.1). Nor does it say
    who is mixed with whom. Partners at random would share a cluster once in K times, too seldom to matter: here each
    image looks for a partner in its own cluster with the probability ``p_intra``, and takes any where there is none.
    Whether a pair is blended or cut is decided by its clusters, however it came about.

    Args:
        intra_alpha: Of λ ~ Beta(alpha, alpha) of blends within a cluster, > 0.
        inter_alpha: Of that of cuts between clusters, > 0.
        p_intra: Probability that an image looks for its partner in its own cluster, in [0, 1].
        per_sample: Whether each image has a λ and a box of its own; otherwise the batch has one λ for blends, and one
            box.
        views: Clean views to mix, all of one size, with the same partners and the same draws.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    clusters: ClassVar[bool] = True
    one_lam = False

    def __init__(
        self,
        intra_alpha: float = 4.0,
        inter_alpha: float = 0.2,
        p_intra: float = 0.5,
        per_sample: bool = False,
        views: Sequence[int] = (0,),
    ) -> None:
        if not 0 <= p_intra <= 1:
            raise ValueError(f"p_intra of InterIntra is {p_intra} and must lie in [0, 1]")
        self.intra_alpha = self.checked_alpha(intra_alpha)
        self.inter_alpha = self.checked_alpha(inter_alpha)
        self.p_intra = p_intra
        self.per_sample = per_sample
        self.views = self.checked_views(views)

    def __call__(  # type: ignore[override]  # the model makes mixtures of these
        self, views: Sequence[Tensor], generator: torch.Generator
    ) -> list[Deferred]:
        """Draws; the model, which knows the clusters, has ``self.views`` of the clean views mixed."""
        self.require_pairs(views)
        self.require_views(views, self.views)
        self.require_one_size(views, self.views)
        size, (height, width) = len(views[0]), views[self.views[0]].shape[-2:]
        draw = self.draw(size, height, width, generator)
        return [
            Deferred(partial(self.render, views[source], source, draw)) for source in self.views
        ]

    def draw(self, size: int, height: int, width: int, generator: torch.Generator) -> _Draw:
        """Draws all that is random, on the CPU, for ``size`` images of ``height`` x ``width`` pixels."""
        count = size if self.per_sample else 1
        order, coins = uniform(size, generator), uniform(size, generator)
        lam = beta(self.intra_alpha, count, generator)
        boxes, left = cut_boxes(beta(self.inter_alpha, count, generator), height, width, generator)
        return _Draw(order, coins < self.p_intra, lam, boxes, left)

    @staticmethod
    def render(
        images: Tensor, source: int, draw: _Draw, labels: Tensor, salience: Salience | None = None
    ) -> MixedView:
        """Finds partners and mixes; draws nothing.

        Args:
            images: (N, C, H, W). Never modified.
            source: Number of the view.
            draw: What :meth:`draw` returned.
            labels: Clusters of the images, (N,), int64.
            salience: Not read.
        """
        order, inside, lam, boxes, left = (
            part.to(images.device, non_blocking=True) for part in draw
        )
        partner = cluster_partners(labels, order, inside)
        other = images[partner]
        same = labels == labels[partner]
        rows = same.view(-1, 1, 1, 1)
        lam, left = lam.float().expand(len(images)), left.float()
        mixed = torch.where(rows, blend(images, other, lam), paste(images, other, boxes))
        mask = torch.where(rows, lam.view(-1, 1, 1, 1), box_mask(boxes, *images.shape[-2:]))
        return rows_mixture(mixed, source, partner, torch.where(same, lam, left), mask)


def cluster_partners(labels: Tensor, order: Tensor, inside: Tensor) -> Tensor:
    """Pairs images within their clusters as far as they ask for it and find one another, the rest at random.

    Those of a cluster that look inside it form a ring in the given order, all others one ring together. So nobody is
    paired with itself, but for the one that may be left over.

    Args:
        labels: Clusters, (N,), int64, >= 0.
        order: Of the images in their ring, (N,).
        inside: Whether an image looks for a partner in its cluster, (N,), bool.

    Returns:
        A permutation, (N,), int64.
    """
    mates = (labels[:, None] == labels) & inside[:, None] & inside
    ring = torch.where(mates.sum(dim=1) > 1, labels, -1)
    by_order = order.argsort(stable=True)
    rows = by_order[ring[by_order].argsort(stable=True)]
    place, group = torch.arange(len(rows), device=rows.device), ring[rows]
    begins = torch.ones_like(inside)
    begins[1:] = group[1:] != group[:-1]
    first = torch.where(begins, place, 0).cummax(dim=0).values
    follows = torch.where(begins.roll(-1), first, place + 1)
    return torch.empty_like(rows).index_copy_(0, rows, rows[follows])
