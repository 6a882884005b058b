"""What methods that contrast one positive with many negatives share."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import all_gather, broadcast, get_rank, get_world_size
from mmpretrain.models import ContrastiveHead
from torch import Tensor

__all__ = ["contrast", "dealt", "queue_candidates", "shuffled", "unshuffled"]


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
    """Images in a shuffled order, across devices where there are several.

    The order is the one that mmpretrain's ``batch_shuffle_ddp`` draws, by torch's generator of process 0. That function
    sends it around by way of the host, and waits for it; here it goes from device to device.

    Returns:
        The images that this device got, and the order, for :func:`dealt` and :func:`unshuffled`: the row of the whole
        batch at each place, (W * N,), int64.
    """
    drawn = torch.randperm(len(images) * get_world_size())
    order = drawn.to(images.device, non_blocking=True)
    broadcast(order, src=0)
    return dealt(images, order), order


@torch.no_grad()
def dealt(values: Tensor, order: Tensor) -> Tensor:
    """Rows of the whole batch in another order, those of them that fall to this device.

    Args:
        values: This device's rows, (N, ...), N the same on all W devices.
        order: (W * N,), int64, the same on all devices.
    """
    devices = get_world_size()
    whole = torch.cat(all_gather(values.contiguous()), dim=0) if devices > 1 else values
    return whole[order.view(devices, -1)[get_rank()]]


@torch.no_grad()
def unshuffled(values: Tensor, order: Tensor) -> Tensor:
    """Rows in the order that the images had before :func:`shuffled`."""
    return dealt(values, order.argsort())


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
