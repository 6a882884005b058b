"""Banks of features."""

from mixssl.models.memory.feature_queue import check_queue, enqueue

__all__ = ["check_queue", "enqueue"]
