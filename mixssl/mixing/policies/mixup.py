"""MixUp: two images blended by one weight."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mixssl.mixing.policies.base import BetaPolicy
from mixssl.mixing.unmix import global_mixture
from mixssl.registry import MIXERS
from mixssl.structures import MixedView
from mixssl.utils.errors import require


@MIXERS.register_module()
class MixUp(BetaPolicy[Tensor]):
    """λ·x + (1-λ)·x[partner] (Zhang et al. 2018, §2), λ once per batch as in the authors' code, or per image.

    Args:
        alpha: Of λ ~ Beta(alpha, alpha), > 0.
        per_sample: Whether each image has a λ of its own.
        views: Clean views to mix, with the same partners and λ.
        partner_view: Clean view that partners come from, >= 0, as Mixed Barlow Twins' from view 1; None for the view
            that is mixed.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        per_sample: bool = False,
        views: Sequence[int] = (0,),
        partner_view: int | None = None,
    ) -> None:
        super().__init__(alpha, per_sample, views)
        require(">= 0", self, "None takes the view that is mixed", partner_view=partner_view)
        self.partner_view = partner_view

    def __call__(self, views: Sequence[Tensor], generator: torch.Generator) -> list[MixedView]:
        """Mixes ``self.views`` of the clean views; see :meth:`Mixer.__call__`."""
        if self.partner_view is None:
            return super().__call__(views, generator)
        partner, lam = self.drawn(views, generator)
        number = self.partner_view
        if number >= len(views) or views[number].shape != views[self.views[0]].shape:
            raise ValueError(
                f"partner_view of MixUp is {number} and must be one of {len(views)} views, of the size of view "
                f"{self.views[0]}: set num_views of MultiView, or partner_view=None"
            )
        return [
            global_mixture(views[source], source, lam, partner, views[number])._replace(
                partner_view=number
            )
            for source in self.views
        ]

    def draw(self, count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """Draws λ."""
        return self.draw_lam(count, generator)

    def render(self, images: Tensor, source: int, partner: Tensor, draw: Tensor) -> MixedView:
        """Blends; see :meth:`Policy.render`."""
        return global_mixture(images, source, draw, partner)
