"""Banks of features."""

from mixssl.models.memory.odc import ODC
from mixssl.models.memory.queue import (
    Staged,
    batch_shuffle,
    batch_unshuffle,
    check_queue,
    enqueue,
    local_rows,
    queue_length,
)

__all__ = [
    "ODC",
    "Staged",
    "batch_shuffle",
    "batch_unshuffle",
    "check_queue",
    "enqueue",
    "local_rows",
    "queue_length",
]
