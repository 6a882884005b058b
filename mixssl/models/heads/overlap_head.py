"""Labels by overlap: mixtures are told apart from clean images and from other mixtures, by what they share."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mixssl.mixing import Mixer
from mixssl.models.heads.base import MixHead
from mixssl.models.losses import overlap_shares
from mixssl.registry import MODELS
from mixssl.structures import EmbeddingId, MixedView, SoftTerm
from mixssl.utils.errors import require, require_one_of


@MODELS.register_module()
class OverlapHead(MixHead):
    """A mixture of one view against the clean images, and the mixtures, of another (SDMP; PatchMix).

    With the mixtures m0 and m1 of views 0 and 1, made of the same images by the same λ, m1 is compared

    - with the keys of view 0: its own image gets λ, the partner 1 - λ;
    - with the keys of m0: each gets what it has in common with the row, normalised, so the row itself most
      (:func:`~mixssl.models.losses.overlap_shares`).

    On MoCo v3 with ``symmetric=False`` the step costs 9 units, MoCo v3's own 8. SDMP (Ren et al. 2022) and PatchMix
    (Shen et al. 2023) differ in the mixer, in SDMP's factor of 2τ, the ``loss_weight`` of mmpretrain's head, and in
    ``loss``.
    PatchMix's code labels halves even where the number of patches is odd, and gives a mixture twice to the same image
    in a batch of two; here labels are the true shares.

    Args:
        mix_clean: Weight of the comparison with clean images, >= 0.
        mix_mix: Weight of the comparison with mixtures, >= 0.
        loss: ``"soft_cross_entropy"``, -Σ P log p, PatchMix's and the text of SDMP; or ``"log_of_sum"``, -log Σ P·p,
            SDMP's code.
        symmetric: Whether m0 is also compared with view 1 and m1, which costs one more encoding with gradient.
        temperature: Softmax temperature, > 0; None takes the method's own.
        loss_weight: Factor on all comparisons, >= 0.
        warmup_epochs: Epochs over which the factor rises from 0, >= 0.

    Raises:
        ValueError: If an argument lies outside its range, or the mixer mixes other than two views.
    """

    requirements: ClassVar[frozenset[str]] = frozenset({"candidates"})
    losses: ClassVar[tuple[str, ...]] = ("soft_cross_entropy", "log_of_sum")

    def __init__(
        self,
        mix_clean: float = 0.5,
        mix_mix: float = 0.5,
        loss: str = "soft_cross_entropy",
        symmetric: bool = False,
        temperature: float | None = None,
        loss_weight: float = 1.0,
        warmup_epochs: float = 0.0,
    ) -> None:
        super().__init__(loss_weight, warmup_epochs)
        if not (mix_clean >= 0 and mix_mix >= 0 and mix_clean + mix_mix > 0):
            raise ValueError(
                f"mix_clean and mix_mix of OverlapHead are {mix_clean} and {mix_mix} and must be >= 0, one of them > 0"
            )
        require_one_of(self.losses, self, loss=loss)
        self.mix_clean = mix_clean
        self.mix_mix = mix_mix
        self.log_of_sum = loss == "log_of_sum"
        self.symmetric = symmetric
        require("> 0", self, "None takes the method's own", temperature=temperature)
        self.temperature = temperature
        self.targets_mixtures = mix_mix > 0

    def check_mixer(self, mixer: Mixer) -> None:
        """Raises a ValueError unless the mixer makes two mixtures that this head can read."""
        super().check_mixer(mixer)
        if len(mixer.views) != 2:
            raise ValueError(
                f"OverlapHead compares the mixtures of two views and {type(mixer).__name__} mixes {len(mixer.views)}: "
                "set views=(0, 1) in the mixer"
            )

    def terms(self, mixtures: Sequence[MixedView], clean: int) -> list[SoftTerm]:
        """See :meth:`MixHead.terms`."""
        first, second = mixtures
        terms = self._against(clean + 1, second, clean, first)
        if self.symmetric:
            terms += self._against(clean, first, clean + 1, second)
        return terms

    def _against(
        self, online: int, mixture: MixedView, other: int, against: MixedView
    ) -> list[SoftTerm]:
        """One mixture's comparisons with the clean view of another mixture, and with that one."""
        index, partner, lam = mixture.index, mixture.partner, mixture.lam
        terms = []
        if self.mix_clean:
            images = torch.stack([index, partner], dim=1)
            shares = torch.stack([lam, 1 - lam], dim=1)
            terms.append(self._term(online, against.source, images, shares, self.mix_clean))
        if self.mix_mix:
            rows = torch.arange(len(index), device=index.device).expand(len(index), -1)
            shares = overlap_shares(index, partner, lam)
            terms.append(self._term(online, other, rows, shares, self.mix_mix))
        return terms

    def _term(
        self, online: int, target: int, positives: Tensor, shares: Tensor, weight: float
    ) -> SoftTerm:
        return SoftTerm(
            EmbeddingId(online),
            EmbeddingId(target),
            positives,
            shares,
            self.temperature,
            self.weight * weight,
            log_of_sum=self.log_of_sum,
        )
