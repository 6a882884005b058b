"""MixCo's label assignment: a mixture is told apart from everything but its two images, under one softmax."""

from collections.abc import Sequence
from typing import ClassVar

import torch

from mixssl.mixing import Layout
from mixssl.models.heads.base import MixHead
from mixssl.registry import MODELS
from mixssl.structures import EmbeddingId, MixedView, SoftTerm
from mixssl.utils.errors import require


@MODELS.register_module()
class MixCoHead(MixHead):
    """Soft cross-entropy of a mixture over all keys of the batch and the bank (MixCo, Kim et al. 2020, eq. 3).

    The key of the own image gets λ and that of the partner 1 - λ; both stand in the denominator, unlike in Un-Mix,
    where each is contrasted without the other. A mixture of view s is compared with every clean view but s. Eq. 3 and
    the authors' code are this cross-entropy. The paper's Algorithm 1 names ``torch.nn.KLDivLoss`` instead, and hands
    it raw logits, for which it wants log-probabilities, and has it average over all entries: of log-probabilities and
    by rows it would have the same gradient, as printed it has another. The authors' code takes the logarithm of a
    softmax, which underflows at this temperature; here it is a log-sum-exp in fp32.

    Args:
        temperature: τ_mix of the softmax, > 0; the authors take 0.05 for MoCo and 0.5 for SimCLR. None takes the
            method's own.
        loss_weight: β of eq. 4, >= 0.
        warmup_epochs: Epochs over which the factor rises from 0, >= 0.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    layouts = (Layout.HALF, Layout.ROWS)
    requirements: ClassVar[frozenset[str]] = frozenset({"candidates"})

    def __init__(
        self, temperature: float | None = 0.05, loss_weight: float = 1.0, warmup_epochs: float = 0.0
    ) -> None:
        super().__init__(loss_weight, warmup_epochs)
        require("> 0", self, "None takes the method's own", temperature=temperature)
        self.temperature = temperature

    def terms(self, mixtures: Sequence[MixedView], clean: int) -> list[SoftTerm]:
        """See :meth:`MixHead.terms`."""
        return semi_positive_terms(mixtures, clean, self.temperature, self.weight)


def semi_positive_terms(
    mixtures: Sequence[MixedView], clean: int, temperature: float | None, weight: float
) -> list[SoftTerm]:
    """Every mixture against every clean view but its own, belonging to its two images by λ and 1 - λ.

    Args:
        mixtures: In the order of their view numbers, which begin at ``clean``.
        clean: Number of clean views.
        temperature: Of the softmax, > 0; None for the method's own.
        weight: Of each comparison.
    """
    return [
        SoftTerm(
            EmbeddingId(number),
            EmbeddingId(target),
            torch.stack([mixture.index, mixture.partner], dim=1),
            torch.stack([mixture.lam, 1 - mixture.lam], dim=1),
            temperature,
            weight,
        )
        for number, mixture in enumerate(mixtures, start=clean)
        for target in range(clean)
        if target != mixture.source
    ]
