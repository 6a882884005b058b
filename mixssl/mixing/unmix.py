"""Un-Mix's mixtures: one λ, one kind and one box for the whole batch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mixssl.mixing.base import Mixer
from mixssl.mixing.ops import blend, box_mask, rows_mixture
from mixssl.mixing.sampling import beta, check_views, cut_boxes, reverse_partner, uniform
from mixssl.registry import MIXERS
from mixssl.structures import MixedView
from mixssl.utils.errors import require


@MIXERS.register_module()
class UnMix(Mixer):
    """Mixes each image with its mirror in the batch, globally (mixup) or in a region (CutMix).

    λ ~ Beta(alpha, alpha) and the kind are drawn once per batch (Un-Mix, Shen et al. 2020, §3.2 and Algorithm 1). A
    region's λ is recomputed from the clipped box. Unlike the authors' code the reversed batch is not rendered: it holds
    the same pixels in another order.

    Args:
        alpha: Of the Beta distribution, > 0 (γ in the paper, which uses 1).
        p_global: Probability of a global mixture, in [0, 1]; the paper uses 0.5 on small data sets and 0 on ImageNet,
            while its released ImageNet script runs 0.5.
        views: Clean views to mix: ``(0,)`` is the paper's single branch, ``(0, 1)`` both, with the same λ, box and
            partner. Views of another size, as in multi-crop, get a box of their own and the λ that it leaves.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def __init__(
        self, alpha: float = 1.0, p_global: float = 0.5, views: Sequence[int] = (0,)
    ) -> None:
        require("[0, 1]", self, "0 has regions only, 1 global mixtures only", p_global=p_global)
        self.alpha = self.checked_alpha(alpha)
        self.p_global = p_global
        self.views = self.checked_views(views)

    def __call__(self, views: Sequence[Tensor], generator: torch.Generator) -> list[MixedView]:
        """Mixes ``self.views`` of the clean views; see :meth:`Mixer.__call__`."""
        check_views(self, views)
        is_global = bool(uniform(1, generator) < self.p_global)
        lam = beta(self.alpha, 1, generator)
        mixtures = []
        drawn: dict[torch.Size, tuple[Tensor, Tensor]] = {}
        for source in self.views:
            images = views[source]
            if is_global:
                mixtures.append(global_mixture(images, source, lam))
                continue
            size = images.shape[-2:]
            if size not in drawn:  # both branches share a box; a view of another size needs its own
                drawn[size] = cut_boxes(lam, size[0], size[1], generator)
            boxes, left = drawn[size]
            mixtures.append(region_mixture(images, source, left, boxes))
        return mixtures


def global_mixture(
    images: Tensor,
    source: int,
    lam: Tensor,
    partner: Tensor | None = None,
    others: Tensor | None = None,
) -> MixedView:
    """Blends a view with another order of its batch, or of another view's.

    Args:
        images: (N, C, H, W).
        source: Number of the view.
        lam: (1,) or (N,), in [0, 1]; outside it a ValueError is raised.
        partner: Image blended into each, (N,), int64; None for the reversed batch.
        others: The view that partners come from, (N, C, H, W); None for the same.

    Returns:
        The mixture, its mask constant over each image.
    """
    device, (height, width) = images.device, images.shape[-2:]
    partner = (
        reverse_partner(len(images), device)
        if partner is None
        else partner.to(device, non_blocking=True)
    )
    lam = _checked(lam).expand(len(images)).to(device, non_blocking=True)
    mask = lam.view(-1, 1, 1, 1).expand(-1, 1, height, width)
    mixed = blend(images, (images if others is None else others)[partner], lam)
    return rows_mixture(mixed, source, partner, lam, mask)


def region_mixture(
    images: Tensor, source: int, lam: Tensor, boxes: Tensor, partner: Tensor | None = None
) -> MixedView:
    """Pastes boxes of another order of the batch into a view.

    Args:
        images: (N, C, H, W).
        source: Number of the view.
        lam: (1,) or (N,): what the boxes leave to the own image, in [0, 1]; outside it a ValueError is raised.
        boxes: (1, 4) or (N, 4): top, left, bottom, right in pixels, half-open.
        partner: Image whose box is pasted into each, (N,), int64; None for the reversed batch.

    Returns:
        The mixture, its mask 0 inside the box and 1 outside.
    """
    device, (height, width) = images.device, images.shape[-2:]
    partner = (
        reverse_partner(len(images), device)
        if partner is None
        else partner.to(device, non_blocking=True)
    )
    boxes = boxes.to(device, non_blocking=True)
    mask = box_mask(boxes, height, width)
    mixed = torch.where(mask.bool(), images, images[partner])  # copies of pixels, no arithmetic
    return rows_mixture(mixed, source, partner, _checked(lam), mask, boxes)


def _checked(lam: Tensor) -> Tensor:
    """λ in float32, checked while it still is on the CPU."""
    if not bool(((lam >= 0) & (lam <= 1)).all()):
        raise ValueError(f"lam is {lam.tolist()} and must lie in [0, 1]")
    return lam.float()
