"""What methods with a momentum encoder share."""

from __future__ import annotations

from mmengine.logging import MessageHub
from torch import nn

__all__ = ["check_cosine_momentum"]


def check_cosine_momentum(method: nn.Module) -> None:
    """Raises a ValueError where the length of the run is unknown, which mmpretrain's CosineEMA divides by.

    Momentum goes from its start to its end along half a cosine over ``max_iters`` of mmengine's MessageHub, one step of
    it per step of the optimizer. A Runner sets ``max_iters``; under gradient accumulation it counts forward passes, so
    that the cosine ends early, at 1 / accumulative_counts of its way.
    """
    if not MessageHub.get_current_instance().runtime_info.get("max_iters"):
        raise ValueError(
            f"{type(method).__name__} moves its momentum along a cosine over max_iters and MessageHub has none: train "
            "with mmengine's Runner, or call MessageHub.get_current_instance().update_info('max_iters', steps)"
        )
