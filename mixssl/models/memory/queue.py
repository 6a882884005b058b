"""What a queue of keys needs: keys encoded in a shuffled order, staged until the optimizer steps, then enqueued."""

from collections import deque
from typing import TypeVar

import torch
from mmengine.dist import all_gather, broadcast, get_rank, get_world_size
from torch import Tensor

_Batch = TypeVar("_Batch")
LENGTHS = {
    50: 16,
    100: 32,
    250: 64,
    500: 128,
    1_000: 256,
    2_000: 512,
    4_000: 1024,
    10_000: 2048,
    20_000: 4096,
}
"""Length of a queue of features for fewer images than this; a quarter to a half of them."""
LONGEST = 8192


def queue_length(images: int) -> int:
    """How long a queue of a teacher's features is best, for so many images to train on."""
    return next((length for below, length in LENGTHS.items() if images < below), LONGEST)


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


@torch.no_grad()
def batch_shuffle(images: Tensor) -> tuple[Tensor, Tensor]:
    """Images in a shuffled order, across devices where there are several.

    The order is the one that mmpretrain's ``batch_shuffle_ddp`` draws, by torch's generator of process 0. That function
    sends it around by way of the host, and waits for it; here it goes from device to device.

    Returns:
        The images that this device got, and the order, for :func:`local_rows` and :func:`batch_unshuffle`: the row of
        the whole batch at each place, (W * N,), int64.
    """
    drawn = torch.randperm(len(images) * get_world_size())
    order = drawn.to(images.device, non_blocking=True)
    broadcast(order, src=0)
    return local_rows(images, order), order


@torch.no_grad()
def batch_unshuffle(values: Tensor, order: Tensor) -> Tensor:
    """Rows in the order that the images had before :func:`batch_shuffle`."""
    return local_rows(values, order.argsort())


@torch.no_grad()
def local_rows(values: Tensor, order: Tensor) -> Tensor:
    """Rows of the whole batch in another order, those of them that fall to this device.

    Args:
        values: This device's rows, (N, ...), N the same on all W devices.
        order: (W * N,), int64, the same on all devices.
    """
    devices = get_world_size()
    whole = torch.cat(all_gather(values.contiguous()), dim=0) if devices > 1 else values
    return whole[order.view(devices, -1)[get_rank()]]


class Staged(deque[_Batch]):
    """Batches that wait for the optimizer's step to go into a bank, oldest first.

    A bank written in the forward pass would be written several times per optimizer step under gradient accumulation,
    and would have to be cloned for the backward pass, which still reads it.
    """

    def put(self, batch: _Batch, rows: int, limit: int) -> None:
        """Stages a batch of ``rows`` rows; where nothing steps, no more batches than a bank of ``limit`` rows holds."""
        self.append(batch)
        if rows * len(self) > limit and len(self) > 1:
            self.popleft()


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
