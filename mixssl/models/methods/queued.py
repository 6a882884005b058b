"""What methods that contrast one positive with many negatives share."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import get_world_size
from mmpretrain.models import ContrastiveHead
from mmpretrain.models.utils import batch_shuffle_ddp, batch_unshuffle_ddp
from torch import Tensor

__all__ = ["contrast", "queue_candidates", "shuffled", "unshuffled"]


def contrast(head: Any, positive: Tensor, negatives: Tensor) -> Tensor:
    """The loss of a head like mmpretrain's ContrastiveHead; of that one bit by bit, without waiting for the device.

    Args:
        head: The method's; any other one is asked for its ``loss``.
        positive: Similarity with the positive, (M, 1).
        negatives: Similarities with the negatives, (M, K).

    Returns:
        A scalar.
    """
    if type(head).loss is not ContrastiveHead.loss:
        return head.loss(positive, negatives)
    logits = torch.cat([positive, negatives], dim=1)
    logits /= head.temperature
    # mmpretrain makes the labels on the CPU and waits until they have arrived.
    labels = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    return head.loss_module(logits, labels)


@torch.no_grad()
def shuffled(images: Tensor) -> tuple[Tensor, Tensor]:
    """Images in a shuffled order, across devices where there are several: mmpretrain's ``batch_shuffle_ddp``.

    Returns:
        The images that this device got, and what :func:`unshuffled` needs to restore the order of embeddings. On one
        device the same draw of torch's generator as mmpretrain's, without waiting for the device.
    """
    if get_world_size() > 1:
        return batch_shuffle_ddp(images)
    order = torch.randperm(len(images))
    restore = order.argsort().to(images.device, non_blocking=True)
    return images[order.to(images.device, non_blocking=True)], restore


@torch.no_grad()
def unshuffled(values: Tensor, restore: Tensor) -> Tensor:
    """Rows in the order that the images had before :func:`shuffled`."""
    return batch_unshuffle_ddp(values, restore) if get_world_size() > 1 else values[restore]


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
