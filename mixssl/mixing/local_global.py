"""Local/global mixtures: CutMix of two views, so that the inside and the outside of each box can be compared."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mixssl.mixing.base import Layout, Mixer
from mixssl.mixing.ops import box_mask, paste
from mixssl.mixing.sampling import beta, check_views, cut_boxes
from mixssl.mixing.unmix import region_mixture
from mixssl.registry import MIXERS
from mixssl.structures import MixedView
from mixssl.utils.errors import require


class _TwoViewCutMix(Mixer):
    """What both approaches share: two views that are mixed, and the arguments' checks.

    Args:
        alpha: Of the Beta distribution that λ is drawn from, > 0.
        views: The two clean views that are mixed.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def __init__(self, alpha: float = 1.0, views: Sequence[int] = (0, 1)) -> None:
        require("> 0", self, "1.0 draws λ uniformly", alpha=alpha)
        if len(views) != 2 or min(views) < 0 or views[0] == views[1]:
            raise ValueError(
                f"views of {type(self).__name__} is {tuple(views)} and must name two distinct views, like (0, 1)"
            )
        self.alpha = alpha
        self.views = tuple(views)

    def require_equal_sizes(self, views: Sequence[Tensor]) -> tuple[int, int]:
        """Height and width of the views that are mixed; raises a ValueError where they differ or leave no outside."""
        one, two = (tuple(views[number].shape[-2:]) for number in self.views)
        if one != two or min(one) < 2:
            raise ValueError(
                f"{type(self).__name__} got views of {one} and {two} pixels and needs two of the same size, "
                "at least 2 x 2: give both the same crop in MultiView"
            )
        return one[0], one[1]


@MIXERS.register_module()
class InterCutMix(_TwoViewCutMix):
    """Pastes a box of the reversed batch into each of two views (local/global CutMix, Lam 2022, approach 2, §3.2.2).

    One λ ~ Beta(alpha, alpha) for both views and a box of its own for each; each mixture's ``lam`` is recomputed from
    its own clipped box, so the two differ where one box is clipped more. The authors' loss takes that of view 0; see
    :class:`~mixssl.models.heads.InterLocalGlobalHead`. Boxes have at least one pixel inside and one outside (the
    authors widen an empty box by a pixel; a box over the whole image gives up its last row here, where theirs divides
    by zero). Unlike the authors' code the reversed mixtures are not rendered: they hold the same pixels in another
    order.

    Args:
        alpha: Of the Beta distribution, > 0; the authors use 1.
        views: The two clean views that are mixed.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    layout: ClassVar[Layout] = Layout.CUT_BATCHES

    def __call__(self, views: Sequence[Tensor], generator: torch.Generator) -> list[MixedView]:
        """Mixes both views with their own reversed batch; see :meth:`Mixer.__call__`."""
        check_views(self, views)
        height, width = self.require_equal_sizes(views)
        lam = beta(self.alpha, 1, generator)
        drawn = [region_boxes(lam, height, width, generator) for _ in self.views]
        return [
            region_mixture(views[source], source, exact, boxes)
            for source, (boxes, exact) in zip(self.views, drawn, strict=True)
        ]


@MIXERS.register_module()
class IntraCutMix(_TwoViewCutMix):
    """Swaps a box between two views of the same image (local/global CutMix, Lam 2022, approach 1, §3.2.1 and Fig. 2).

    The first mixture is view 0 with a box of view 1, the second view 1 with the same box of view 0: inside and
    outside of every mixture stem from one image, and a mixture's inside and the other's outside even from one view.
    λ, drawn once per batch from Beta(alpha, alpha), only sets the size of the box: the loss weighs its terms by a
    constant (eq. 7). The paper leaves the law of λ open, and its authors published no code of this approach.

    Args:
        alpha: Of the Beta distribution, > 0.
        views: The two clean views whose boxes are swapped.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    layout: ClassVar[Layout] = Layout.SWAPPED_BOXES

    def __call__(self, views: Sequence[Tensor], generator: torch.Generator) -> list[MixedView]:
        """Mixes the two views with each other, both ways; see :meth:`Mixer.__call__`."""
        check_views(self, views, pairs=False)
        height, width = self.require_equal_sizes(views)
        boxes, lam = region_boxes(beta(self.alpha, 1, generator), height, width, generator)
        one, two = self.views
        return [
            view_mixture(views, one, two, lam, boxes),
            view_mixture(views, two, one, lam, boxes),
        ]


def region_boxes(
    lam: Tensor, height: int, width: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draws boxes with at least one pixel inside and one outside.

    A side that comes out empty is widened to one pixel at its centre; a box over the whole image gives up its last
    row.

    Args:
        lam: Aimed-at weight of the own image, (B,), in [0, 1], on the CPU.
        height: Of the image, in pixels, >= 2.
        width: Of the image, in pixels, >= 1.
        generator: A CPU generator.

    Returns:
        boxes: (B, 4), int64: top, left, bottom, right, half-open.
        lam: (B,), float64, in (0, 1): exact weight left to the own image.
    """
    boxes, _ = cut_boxes(lam, height, width, generator)
    low, high = boxes[:, :2], boxes[:, 2:]
    high = torch.maximum(high, low + 1)
    whole = (high - low).prod(dim=1) == height * width
    high = high - whole[:, None] * torch.tensor([1, 0])
    area = (high - low).prod(dim=1)
    return torch.cat([low, high], dim=1), 1.0 - area.double() / (height * width)


def view_mixture(
    views: Sequence[Tensor], source: int, partner_view: int, lam: Tensor, boxes: Tensor
) -> MixedView:
    """Pastes boxes of one view of each image into another view of the same image.

    Args:
        views: Clean views, each (N, C, H, W).
        source: Number of the view that is pasted into.
        partner_view: Number of the view that the boxes come from.
        lam: (1,) or (N,): what the boxes leave to the own view, in [0, 1].
        boxes: (1, 4) or (N, 4): top, left, bottom, right in pixels, half-open.

    Returns:
        The mixture; every image is its own partner.
    """
    own, other = views[source], views[partner_view]
    size, _, height, width = own.shape
    boxes = boxes.to(own.device, non_blocking=True).expand(size, 4)
    index = torch.arange(size, device=own.device)
    return MixedView(
        images=paste(own, other, boxes),
        source=source,
        partner_view=partner_view,
        index=index,
        partner=index,
        lam=lam.float().to(own.device, non_blocking=True).expand(size),
        mask=box_mask(boxes, height, width),
        boxes=boxes,
    )
