"""Mixtures of views that come in several sizes."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mixssl.mixing.base import Layout, Mixer
from mixssl.registry import MIXERS
from mixssl.structures import MixedView
from mixssl.utils.errors import require


@MIXERS.register_module()
class MultiScale(Mixer):
    """Lets another mixer mix each size of views on its own (Un-Mix, Shen et al. 2020, §4.3, Fig. 7).

    The views come in pairs of one size each: 0 and 1, 2 and 3, and so on, as from mmpretrain's MultiView with a list of
    transforms per size and ``num_views=[2, 2]``. The mixer sees one pair at a time and draws anew for it, so that every
    size has a λ of its own, which its own terms are weighed by. The paper published no code of this; that for SwAV
    overwrites λ from size to size and weighs all terms by the last.

    Args:
        mixer: Config of the mixer of a pair, or the mixer.
        scales: Number of sizes, >= 1.

    Raises:
        ValueError: If ``scales`` is less than 1, or the mixer asks for clusters or further views or holds mixers.
    """

    layout: ClassVar[Layout] = Layout.SCALES

    def __init__(self, mixer: dict | Mixer, scales: int = 2) -> None:
        require(">= 1", self, scales=scales)
        self.mixer: Mixer = MIXERS.build(mixer) if isinstance(mixer, dict) else mixer
        asked = {
            "asks for clusters": self.mixer.clusters,
            "asks for further views": bool(self.mixer.extra_views),
            "holds mixers itself": self.mixer.layout in (Layout.STACK, Layout.SCALES),
        }
        if any(asked.values()):
            raise ValueError(
                f"MultiScale can't carry {type(self.mixer).__name__}, which "
                f"{next(reason for reason, found in asked.items() if found)}: "
                "choose another mixer, or views of one size"
            )
        self.scales = scales
        self.shared_lam = self.mixer.shared_lam

    def __call__(self, views: Sequence[Tensor], generator: torch.Generator) -> list[MixedView]:
        """Mixes pair by pair; see :meth:`Mixer.__call__`."""
        if len(views) != 2 * self.scales:
            raise ValueError(
                f"MultiScale mixes {self.scales} sizes of 2 views and the pipeline gives {len(views)} views: "
                f"use MultiView with {self.scales} lists of transforms and num_views={[2] * self.scales}"
            )
        return [
            mixture._replace(
                source=mixture.source + first, partner_view=mixture.partner_view + first
            )
            for first in range(0, 2 * self.scales, 2)
            for mixture in self.mixer(views[first : first + 2], generator)
        ]
