"""AMix's draws; its masks are made by a network, which is the model's."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mixssl.mixing.base import Layout, Mixer
from mixssl.mixing.sampling import beta, check_views, random_partner
from mixssl.registry import MIXERS
from mixssl.structures import BLOCK, ENCODER, MixedView


@MIXERS.register_module()
class AMix(Mixer):
    """Draws who is mixed with whom and by how much, and leaves the pixels to the model's Mix Block (AMix, §3).

    Each mixed view gives two mixtures: one that the encoder learns from, and one that the block learns from, with
    partners and a λ of its own, as in the authors' code. Partners are a random order of the batch.

    Args:
        alpha: Of λ ~ Beta(alpha, alpha), > 0; the paper uses 2 for self-supervision (Figure 5) and 1 is its default
            for classification.
        per_sample: Whether each image has a λ of its own; otherwise one λ per batch, as in the authors' code.
        views: Clean views to mix; the paper mixes the query's view, (0,), and compares with the other (§3.1): a mixture
            compared with the view it is made of degenerates.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    layout = Layout.LEARNED
    learned = True

    def __init__(
        self, alpha: float = 2.0, per_sample: bool = False, views: Sequence[int] = (0,)
    ) -> None:
        self.alpha = self.checked_alpha(alpha)
        self.views = self.checked_views(views)
        self.shared_lam = not per_sample

    def __call__(self, views: Sequence[Tensor], generator: torch.Generator) -> list[MixedView]:
        """Draws two mixtures of each of ``self.views``; see :meth:`Mixer.__call__`. Their pixels are None."""
        check_views(self, views)
        return [
            self._draw(views[source], source, learner, generator)
            for source in self.views
            for learner in (ENCODER, BLOCK)
        ]

    def _draw(
        self, images: Tensor, source: int, learner: str, generator: torch.Generator
    ) -> MixedView:
        """Draws λ and partners of one mixture."""
        size, device = len(images), images.device
        lam = beta(self.alpha, 1 if self.shared_lam else size, generator).float().expand(size)
        return MixedView(
            images=None,
            source=source,
            partner_view=source,
            index=torch.arange(size, device=device),
            partner=random_partner(size, generator).to(device, non_blocking=True),
            lam=lam.to(device, non_blocking=True),
            learned=learner,
        )
