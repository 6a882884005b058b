"""Banks of features."""

from mixssl.models.memory.feature_queue import check_queue, enqueue
from mixssl.models.memory.odc import ODC

__all__ = ["ODC", "check_queue", "enqueue"]
