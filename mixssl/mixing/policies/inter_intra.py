"""Inter-Intra: images of one cluster are blended, images of different clusters cut."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from mixssl.mixing.base import Mixer
from mixssl.mixing.deferred import DeferredMixture, Saliency
from mixssl.mixing.ops import blend, box_mask, paste, rows_mixture
from mixssl.mixing.sampling import beta, check_views, cut_boxes, uniform
from mixssl.registry import MIXERS
from mixssl.structures import MixedView
from mixssl.utils.errors import require, require_one_of

POLICIES = ("mixup", "cutmix")


class _Pair(NamedTuple):
    """How two images are mixed, on the CPU; a number per batch or per image.

    Attributes:
        lam: Weight of the own image, (1,) or (N,): of a blend, or what the box leaves.
        boxes: Of a cut, (1, 4) or (N, 4); None for a blend.
    """

    lam: Tensor
    boxes: Tensor | None


class _Draw(NamedTuple):
    """All that is random, on the CPU.

    Attributes:
        order: Of the images among those that look for a partner together, (N,), in [0, 1).
        inside: Whether an image looks for a partner in its own cluster, (N,), bool.
        intra: Of images of one cluster.
        inter: Of images of different clusters.
    """

    order: Tensor
    inside: Tensor
    intra: _Pair
    inter: _Pair


@MIXERS.register_module()
class InterIntra(Mixer):
    """MixUp within clusters, CutMix between them (AMix, Liu et al. 2022, §3.1 and Table 4, "MoCo.V2 (C)").

    Either policy can have either place, as in the paper's Figure 2 (c).

    The paper finds MixUp with a large alpha best where both images are of one cluster, and CutMix with a small alpha
    where they are not; the clusters are pseudo-labels, so the model must have ``clusters``. Its figure's values of
    alpha are not in its text: the defaults are the ends of the grid that it searches elsewhere (§4.1). Nor does it say
    who is mixed with whom. Partners at random would share a cluster once in K times, too seldom to matter: here each
    image looks for a partner in its own cluster with the probability ``p_intra``, and takes any where there is none.
    Whether a pair is blended or cut is decided by its clusters, however it came about.

    Args:
        intra_alpha: Of λ ~ Beta(alpha, alpha) within a cluster, > 0.
        inter_alpha: Of that between clusters, > 0.
        p_intra: Probability that an image looks for its partner in its own cluster, in [0, 1].
        per_sample: Whether each image has draws of its own; otherwise the batch has one λ or box within clusters, and
            one between them.
        views: Clean views to mix, all of one size, with the same partners and the same draws.
        intra: Policy within a cluster, "mixup" or "cutmix".
        inter: Policy between clusters, likewise.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    clusters = True
    shared_lam = False

    def __init__(
        self,
        intra_alpha: float = 4.0,
        inter_alpha: float = 0.2,
        p_intra: float = 0.5,
        per_sample: bool = False,
        views: Sequence[int] = (0,),
        intra: str = "mixup",
        inter: str = "cutmix",
    ) -> None:
        require("[0, 1]", self, p_intra=p_intra)
        require_one_of(POLICIES, self, intra=intra, inter=inter)
        self.intra = intra
        self.inter = inter
        self.intra_alpha = self.checked_alpha(intra_alpha)
        self.inter_alpha = self.checked_alpha(inter_alpha)
        self.p_intra = p_intra
        self.per_sample = per_sample
        self.views = self.checked_views(views)

    def __call__(  # type: ignore[override]  # the model makes mixtures of these
        self, views: Sequence[Tensor], generator: torch.Generator
    ) -> list[DeferredMixture]:
        """Draws; the model, which knows the clusters, has ``self.views`` of the clean views mixed."""
        check_views(self, views, one_size=True)
        size, (height, width) = len(views[0]), views[self.views[0]].shape[-2:]
        draw = self.draw(size, height, width, generator)
        return [
            DeferredMixture(partial(self.render, views[source], source, draw))
            for source in self.views
        ]

    def draw(self, size: int, height: int, width: int, generator: torch.Generator) -> _Draw:
        """Draws all that is random, on the CPU, for ``size`` images of ``height`` x ``width`` pixels."""
        count = size if self.per_sample else 1
        order, coins = uniform(size, generator), uniform(size, generator)
        pairs = []
        for policy, alpha in ((self.intra, self.intra_alpha), (self.inter, self.inter_alpha)):
            lam, boxes = beta(alpha, count, generator), None
            if policy == "cutmix":
                boxes, lam = cut_boxes(lam, height, width, generator)
            pairs.append(_Pair(lam, boxes))
        return _Draw(order, coins < self.p_intra, *pairs)

    @staticmethod
    def render(
        images: Tensor, source: int, draw: _Draw, labels: Tensor, saliency: Saliency | None = None
    ) -> MixedView:
        """Finds partners and mixes; draws nothing.

        Args:
            images: (N, C, H, W). Never modified.
            source: Number of the view.
            draw: What :meth:`draw` returned.
            labels: Clusters of the images, (N,), int64.
            saliency: Not read.
        """
        order, inside = (part.to(images.device, non_blocking=True) for part in draw[:2])
        partner = cluster_partners(labels, order, inside)
        other, same = images[partner], labels == labels[partner]
        # Both policies mix all rows, so that no step waits to learn which rows are whose.
        intra, inter = (_mixed(images, other, pair) for pair in (draw.intra, draw.inter))
        rows = same.view(-1, 1, 1, 1)
        mixed, mask = (torch.where(rows, a, b) for a, b in zip(intra[:2], inter[:2], strict=True))
        return rows_mixture(mixed, source, partner, torch.where(same, intra[2], inter[2]), mask)


def _mixed(images: Tensor, other: Tensor, pair: _Pair) -> tuple[Tensor, Tensor, Tensor]:
    """Mixes every image with its partner: pixels (N, C, H, W), mask (N or 1, 1, H, W), λ (N,)."""
    lam = pair.lam.float().to(images.device, non_blocking=True).expand(len(images))
    if pair.boxes is None:
        height, width = images.shape[-2:]
        return blend(images, other, lam), lam.view(-1, 1, 1, 1).expand(-1, 1, height, width), lam
    boxes = pair.boxes.to(images.device, non_blocking=True)
    return paste(images, other, boxes), box_mask(boxes, *images.shape[-2:]), lam


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
