"""Mixtures of several crops of the same image, which take the place of the query's view."""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from mixssl.mixing.base import Layout, Mixer
from mixssl.mixing.ops import blend, box_mask, paste
from mixssl.mixing.sampling import beta, cut_boxes, uniform
from mixssl.registry import MIXERS
from mixssl.structures import MixedView
from mixssl.utils.errors import require, require_one_of


@MIXERS.register_module()
class ScaleMix(Mixer):
    """Pastes a box of another crop of the same image into a view (asymmetric Siamese views, Wang et al. 2022).

    λ ~ U(0, 1), the box as in CutMix: about 1 - λ of the area, centre uniform, clipped. The mixture shows its image
    alone, at two scales, and takes the place of the view: read it with :class:`~mixssl.models.heads.ScaleMixHead`,
    which compares it as a whole, whatever λ is.

    The further crops are the last views that the pipeline gives, one for each view that is mixed, and go no further
    than here: three views (``num_views=3`` of MultiView) give the method views 0 and 1 and a mixture of 0 and 2.

    Args:
        per_sample: Whether each image has a box of its own; otherwise the batch shares one.
        views: Clean views to mix: ``(0,)`` is the query's, as in the paper, ``(0, 1)`` both, for symmetric methods.

    Raises:
        ValueError: If ``views`` does not name distinct views.
    """

    layout: ClassVar[Layout] = Layout.CROPS
    crops = 2

    def __init__(self, per_sample: bool = True, views: Sequence[int] = (0,)) -> None:
        self.per_sample = per_sample
        self.shared_lam = not per_sample
        self.views = self.checked_views(views)
        self.extra_views = (self.crops - 1) * len(self.views)

    def __call__(self, views: Sequence[Tensor], generator: torch.Generator) -> list[MixedView]:
        """Mixes ``self.views`` of the clean views with the last views; see :meth:`Mixer.__call__`."""
        first = len(views) - self.extra_views
        needed = max(1, *self.views) + 1
        if first < needed:
            raise ValueError(
                f"{type(self).__name__} mixes views with {self.extra_views} further crops, the last views, and the "
                f"pipeline gives {len(views)} views: set num_views of MultiView to {needed + self.extra_views}"
            )
        own = self.crops - 1
        return [
            self._mixed(views, source, first + own * place, generator)
            for place, source in enumerate(self.views)
        ]

    def _mixed(
        self, views: Sequence[Tensor], source: int, first: int, generator: torch.Generator
    ) -> MixedView:
        """Mixes a view with its further crops, from number ``first`` on, one after the other."""
        images = views[source]
        size, device, (height, width) = len(images), images.device, images.shape[-2:]
        index = torch.arange(size, device=device)
        mask = torch.ones(size, 1, height, width, device=device)
        boxes = None
        for number in range(first, first + self.crops - 1):
            if views[number].shape != images.shape:
                raise ValueError(
                    f"{type(self).__name__} got crops of {tuple(images.shape[-2:])} and "
                    f"{tuple(views[number].shape[-2:])} pixels: give all the same size in MultiView"
                )
            count = size if self.per_sample else 1
            lam, boxes = self.draw(count, height, width, generator)
            lam = lam.float().to(device, non_blocking=True).expand(size)
            if boxes is None:
                images = blend(images, views[number], lam)
                mask = mask * lam.view(-1, 1, 1, 1)
            else:
                boxes = boxes.to(device, non_blocking=True).expand(size, 4)
                images = paste(images, views[number], boxes)
                mask = mask * box_mask(boxes, height, width)
        alone = self.crops == 2
        return MixedView(
            images=images,
            source=source,
            partner_view=first,
            index=index,
            partner=index,
            lam=lam if alone else mask.mean(dim=(1, 2, 3)),
            mask=mask,
            boxes=boxes if alone else None,
        )

    def draw(
        self, count: int, height: int, width: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Draws what a crop leaves of the mixture so far, (count,), and its boxes, (count, 4), if it is pasted."""
        boxes, left = cut_boxes(uniform(count, generator), height, width, generator)
        return left, boxes


@MIXERS.register_module()
class CropMix(ScaleMix):
    """Mixes crops of one image that are cut at different scales (CropMix, Han et al. 2022), contrastive form.

    The pipeline makes the crops: n of them whose scales split [s, 1] into n equal parts, see :func:`crop_ranges`. The
    first is the view itself, the small crop; the others are mixed in one after the other. What differs from ScaleMix
    are the scales, and that there may be more crops or blends. Of the supervised form the order of the crops, the side
    that pastes and an exchange of colour channels are random; not here, nor in the authors' contrastive code.

    Args:
        crops: How many are mixed (n), >= 2; ``crops - 1`` further views for each view that is mixed.
        kind: ``"cutmix"`` pastes a box of about 1 - λ of the area, λ ~ U(0, 1); ``"mixup"`` blends by
            λ ~ Beta(alpha / n, alpha / n), drawn anew for each crop.
        alpha: Of the Beta distribution, > 0; the paper uses 0.4. Read by ``"mixup"`` alone.
        per_sample: Whether each image has draws of its own.
        views: Clean views to mix; see :class:`ScaleMix`.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def __init__(
        self,
        crops: int = 2,
        kind: str = "cutmix",
        alpha: float = 0.4,
        per_sample: bool = True,
        views: Sequence[int] = (0,),
    ) -> None:
        require(">= 2", self, "the paper uses 2 to 4", crops=crops)
        require_one_of(("cutmix", "mixup"), self, kind=kind)
        self.crops = crops
        self.kind = kind
        self.alpha = self.checked_alpha(alpha)
        super().__init__(per_sample, views)

    def draw(
        self, count: int, height: int, width: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """See :meth:`ScaleMix.draw`."""
        if self.kind == "cutmix":
            return super().draw(count, height, width, generator)
        return beta(self.alpha / self.crops, count, generator), None


def crop_ranges(crops: int, smallest: float) -> list[tuple[float, float]]:
    """Splits the range of crop scales into equal parts, smallest first: ``crop_ratio_range`` of CropMix's crops.

    Args:
        crops: n, >= 1.
        smallest: Share of the area that the smallest crop may have, in (0, 1); the paper uses 0.2 for contrastive
            learning and 0.01 with labels.
    """
    cuts = [smallest + (1 - smallest) * place / crops for place in range(crops + 1)]
    return list(pairwise(cuts))
