"""How a method compares embeddings, whatever they are of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mixssl.models.losses import soft_info_nce, two_way_cross_entropy
from mixssl.models.methods.terms import take, weigh
from mixssl.structures import AnyTerm, ClusterTerm, Key, SoftTerm, Term, TwoWayTerm

if TYPE_CHECKING:
    from mmpretrain.models import BaseSelfSupervisor as _Algorithm
else:
    _Algorithm = object

__all__ = ["Comparisons"]


class Comparisons(_Algorithm):
    """The part of :class:`MixtureMethod` that turns embeddings and terms into losses."""

    head: Any

    def _sum_terms(
        self,
        terms: Sequence[AnyTerm],
        online: dict[Key, Tensor],
        targets: dict[Key, Tensor],
    ) -> dict[str, Tensor]:
        """Compares what the terms name and sums by name; terms of one online embedding are handed over together."""
        losses: dict[str, Tensor] = {}

        def add(name: str, value: Tensor) -> None:
            losses[name] = losses[name] + value if name in losses else value

        plain = [term for term in terms if isinstance(term, Term)]
        for key, same in groupby(
            sorted(plain, key=lambda term: term.online), key=lambda term: term.online
        ):
            group = list(same)
            for term, value in zip(group, self.compare(online[key], targets, group), strict=True):
                add(term.name, weigh(value, term.weight))
        for duel in (term for term in terms if isinstance(term, TwoWayTerm)):
            own, other = self.two_way_logits(
                online[duel.online],
                [targets[duel.target][rows] for rows in (duel.index, duel.partner)],
                duel.temperature,
            )
            add(duel.name, weigh(two_way_cross_entropy(own, other, duel.lam), duel.weight))
        for soft in (term for term in terms if isinstance(term, SoftTerm)):
            blocks = self.candidate_logits(
                online[soft.online], targets[soft.target], soft.temperature
            )
            value = soft_info_nce(blocks, soft.positives, soft.shares)
            add(soft.name, weigh(value, soft.weight))
        for classified in (term for term in terms if isinstance(term, ClusterTerm)):
            rows = self.cluster_loss(online[classified.online], classified)
            add(classified.name, weigh(rows, classified.weight))
        return losses

    def compare(
        self, online: Tensor, targets: dict[Key, Tensor], terms: list[Term]
    ) -> list[Tensor]:
        """Compares one online embedding with all that terms compare it with; in all terms ``online`` is the same.

        Override where a row's loss depends on the target's other rows, so that reordering them first would hide them.

        Returns:
            As :meth:`pair_losses`.
        """
        return self.pair_losses(
            online, [take(targets[term.target], term.rows) for term in terms], terms
        )

    def pair_losses(self, online: Tensor, targets: list[Tensor], terms: list[Term]) -> list[Tensor]:
        """Compares one online embedding with each of several targets, whose rows are in its order.

        Returns:
            A value per term: (M,), a loss per row, or a scalar where the loss does not decompose over rows.
        """
        raise TypeError(f"{type(self).__name__} must define pair_losses, or compare")

    def candidate_logits(
        self, online: Tensor, target: Tensor, temperature: float | None
    ) -> list[Tensor]:
        """Scores an online embedding against everything it could be; only for methods that offer candidates.

        Args:
            online: (M, D).
            target: This device's targets, (N, D).
            temperature: Of the softmax; None for the method's own.

        Returns:
            Blocks of logits divided by the temperature, each (M, n_b), float32; the first N columns of the first block
            are this device's targets.
        """
        raise TypeError(f"{type(self).__name__} has no candidates to tell an embedding apart from")

    def two_way_logits(
        self, online: Tensor, targets: list[Tensor], temperature: float | None
    ) -> list[Tensor]:
        """Scores an online embedding against targets in the order of its rows: cosines over the temperature, in fp32.

        Args:
            online: (M, D).
            targets: Each (M, D).
            temperature: None for that of the method's head, or 0.2, the paper's, where it has none.

        Returns:
            For each target the logits, (M,), float32.
        """
        default: float = getattr(self.head, "temperature", 0.2)
        temperature = temperature or default
        with torch.autocast(online.device.type, enabled=False):
            unit = F.normalize(self.predict(online).float(), dim=1)
            return [
                (unit * F.normalize(target.float(), dim=1)).sum(1) / temperature
                for target in targets
            ]

    def predict(self, online: Tensor) -> Tensor:
        """What is compared with targets, in their space: the embedding itself, or what a predictor makes of it."""
        return online
