"""SDMP's mixtures: two images blended, cut or resized into each other, alike in both views."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mixssl.mixing.base import Mixer
from mixssl.mixing.policies.resizemix import resize_mixture
from mixssl.mixing.sampling import check_views, inner_boxes, reverse_partner, uniform
from mixssl.mixing.unmix import global_mixture, region_mixture
from mixssl.registry import MIXERS
from mixssl.structures import MixedView

KINDS = ("mixup", "cutmix", "resizemix")


@MIXERS.register_module()
class SDMP(Mixer):
    """Mixes both views with the same partners and the same λ per image (Ren et al. 2022, SDMP, §3).

    Each step draws one kind: images are blended, a box of the partner is pasted in its place, or the whole partner is
    made small and pasted. λ is U(0, 1) per image, shrunk to [0.1, 0.9]; a box is drawn for each view, lies inside the
    image, and λ is what it leaves. Read it with :class:`~mixssl.models.heads.OverlapHead`.

    The authors' code knows resizemix alone, and its loop over images never runs, so that no pixel is mixed. It pairs an
    image with its mirror in the batch of all devices; here the mirror is in the batch of this device.

    Args:
        kinds: Those to draw from, of "mixup", "cutmix" and "resizemix".
        views: Clean views to mix, all of one size.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    shared_lam = False

    def __init__(self, kinds: Sequence[str] = KINDS, views: Sequence[int] = (0, 1)) -> None:
        kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
        if not kinds or not set(kinds) <= set(KINDS):
            raise ValueError(f"kinds of SDMP is {kinds} and must be some of {', '.join(KINDS)}")
        self.kinds = kinds
        self.views = self.checked_views(views)

    def __call__(self, views: Sequence[Tensor], generator: torch.Generator) -> list[MixedView]:
        """Mixes ``self.views`` of the clean views; see :meth:`Mixer.__call__`."""
        check_views(self, views, one_size=True)
        first = views[self.views[0]]
        height, width = first.shape[-2:]
        kind = self.kinds[int(torch.randint(len(self.kinds), (), generator=generator))]
        lam = 0.1 + 0.8 * uniform(len(first), generator)
        partner = reverse_partner(len(first), first.device)
        if kind == "mixup":
            return [global_mixture(views[source], source, lam, partner) for source in self.views]
        mixtures = []
        for source in self.views:
            boxes, left = inner_boxes((1 - lam).sqrt(), height, width, generator)
            if kind == "cutmix":
                mixtures.append(region_mixture(views[source], source, left, boxes, partner))
            else:
                mixtures.append(resize_mixture(views[source], source, left, boxes, partner))
        return mixtures
