"""i-Mix's mixtures: MixUp or CutMix in which the own image is never the smaller part."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mixssl.mixing.policies.cutmix import CutMix
from mixssl.mixing.policies.mixup import MixUp
from mixssl.registry import MIXERS


@MIXERS.register_module()
class IMix(MixUp):
    """Blends by max(λ, 1-λ), λ ~ Beta(alpha, alpha) for each image (i-Mix, Lee et al. 2021, §3; the authors' code).

    Read it with :class:`~mixssl.models.heads.IMixHead` or :class:`~mixssl.models.heads.IMixPredictHead`.

    Args:
        alpha: Of the Beta distribution, > 0; the authors' default is 1.
        per_sample: Whether each image has a λ of its own, as in the paper.
        views: Clean views to mix: ``(0,)`` is the query's as in the paper, ``(0, 1)`` both, for symmetric losses, with
            the same partners and λ (the authors' code draws anew for each direction).

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def __init__(
        self, alpha: float = 1.0, per_sample: bool = True, views: Sequence[int] = (0,)
    ) -> None:
        super().__init__(alpha, per_sample, views)

    def draw_lam(self, count: int, generator: torch.Generator) -> Tensor:
        """Draws λ in [0.5, 1]."""
        lam = super().draw_lam(count, generator)
        return torch.maximum(lam, 1 - lam)


@MIXERS.register_module()
class ICutMix(CutMix):
    """i-Mix's CutMix form: a box of about 1 - max(λ, 1-λ) of the area, one for the batch (Lee et al. 2021).

    Args:
        alpha: Of the Beta distribution, > 0.
        per_sample: Whether each image has a box of its own.
        views: Clean views to mix; see :class:`IMix`.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def draw_lam(self, count: int, generator: torch.Generator) -> Tensor:
        """Draws λ in [0.5, 1]."""
        lam = super().draw_lam(count, generator)
        return torch.maximum(lam, 1 - lam)
