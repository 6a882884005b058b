"""First-in first-out banks of features, kept as buffers of the model that owns them."""

from __future__ import annotations

import torch
from mmengine.dist import get_world_size
from torch import Tensor

__all__ = ["check_queue", "enqueue"]


@torch.no_grad()
def enqueue(queue: Tensor, pointer: Tensor, keys: Tensor) -> None:
    """Overwrites the oldest columns of a queue, in place and without reading the pointer back from the device.

    Args:
        queue: (D, K).
        pointer: Column to write next, (1,), int64; moved on.
        keys: (n, D), n <= K; cast to the queue's dtype.
    """
    count, length = keys.shape[0], queue.shape[1]
    columns = (pointer + torch.arange(count, device=queue.device)) % length
    queue.index_copy_(1, columns, keys.detach().to(queue.dtype).t())
    pointer.add_(count).remainder_(length)


def check_queue(length: int, batch: int) -> None:
    """Raises a ValueError unless whole batches of all devices together fill a queue exactly.

    Args:
        length: Of the queue.
        batch: Images per device.
    """
    world = get_world_size()
    if batch < 1 or length % (batch * world):
        raise ValueError(
            f"queue_len is {length} and must be a multiple of the total batch {batch * world} "
            f"({batch} images x {world} devices): change queue_len or batch_size, and set drop_last=True"
        )
