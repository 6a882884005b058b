"""What the predefined policies share: a random partner, draws apart from pixels, a λ per batch or per image."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from mixssl.mixing.base import Mixer
from mixssl.mixing.sampling import beta, check_views, random_partner
from mixssl.structures import MixedView

Draw = TypeVar("Draw")


class Policy(Mixer, Generic[Draw]):
    """Mixes every image of a view with that of a random permutation of the batch.

    In the cross-view pipeline of AMix (Liu et al. 2022, §3.1) the mixture is then compared with its two images in the
    other clean view: read it with :class:`~mixssl.models.heads.UnMixHead`.

    Args:
        per_sample: Whether each image has draws of its own instead of one for the batch.
        views: Clean views to mix, all of one size, with the same partners and the same draws.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def __init__(self, per_sample: bool = False, views: Sequence[int] = (0,)) -> None:
        self.per_sample = per_sample
        self.shared_lam = not per_sample
        self.views = self.checked_views(views)

    def __call__(self, views: Sequence[Tensor], generator: torch.Generator) -> list[MixedView]:
        """Mixes ``self.views`` of the clean views; see :meth:`Mixer.__call__`."""
        partner, draw = self.drawn(views, generator)
        return [self.render(views[source], source, partner, draw) for source in self.views]

    def drawn(self, views: Sequence[Tensor], generator: torch.Generator) -> tuple[Tensor, Draw]:
        """Checks the views and draws.

        Returns:
            partner: (N,), int64, on the views' device.
            draw: What :meth:`draw` drew.
        """
        check_views(self, views, one_size=True)
        first = views[self.views[0]]
        partner = random_partner(len(first), generator)
        height, width = first.shape[-2:]
        draw = self.draw(len(first) if self.per_sample else 1, height, width, generator)
        return partner.to(first.device, non_blocking=True), draw

    @abstractmethod
    def draw(self, count: int, height: int, width: int, generator: torch.Generator) -> Draw:
        """Draws all that is random, on the CPU.

        Args:
            count: Of draws: 1, or one for each image.
            height: Of the images, in pixels.
            width: Of the images, in pixels.
            generator: A CPU generator.
        """

    @abstractmethod
    def render(self, images: Tensor, source: int, partner: Tensor, draw: Draw) -> MixedView:
        """Mixes a view; draws nothing.

        Args:
            images: (N, C, H, W). Never modified.
            source: Number of the view.
            partner: (N,), int64, on the images' device.
            draw: What :meth:`draw` returned.
        """


class BetaPolicy(Policy[Draw]):
    """A policy that draws λ ~ Beta(alpha, alpha).

    Args:
        alpha: Of the Beta distribution, > 0.
        per_sample: Whether each image has draws of its own instead of one for the batch.
        views: Clean views to mix, all of one size, with the same partners and the same draws.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def __init__(
        self, alpha: float = 1.0, per_sample: bool = False, views: Sequence[int] = (0,)
    ) -> None:
        super().__init__(per_sample, views)
        self.alpha = self.checked_alpha(alpha)

    def draw_lam(self, count: int, generator: torch.Generator) -> Tensor:
        """Draws λ, (count,), float64, on the CPU."""
        return beta(self.alpha, count, generator)
