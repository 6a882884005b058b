"""What methods with a queue of negatives share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mixssl.structures import Term

__all__ = ["queue_candidates", "weighs_rows"]


def weighs_rows(terms: Sequence[Term]) -> bool:
    """Whether any term reorders or weighs rows, as those of a mixture do: the parent's head knows only plain ones."""
    return any(term.rows is not None or isinstance(term.weight, Tensor) for term in terms)


def queue_candidates(
    online: Tensor, target: Tensor, queue: Tensor, temperature: float
) -> list[Tensor]:
    """Logits of this device's keys and of the queue, in fp32; no key of another device is among them (MixCo's code).

    Args:
        online: (M, D).
        target: This device's keys, (N, D).
        queue: (D, K).
        temperature: Of the softmax.

    Returns:
        Logits divided by the temperature, (M, N) and (M, K).
    """
    with torch.autocast(online.device.type, enabled=False):
        query = online.float() / temperature
        return [query @ target.float().t(), query @ queue]
