"""What methods with a queue of negatives share."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["queue_candidates"]


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
