"""Momentum that follows half a cosine over the run."""

from __future__ import annotations

from mmengine.logging import MessageHub
from torch import nn

from mixssl.models.methods.averaging import FusedEMA

__all__ = ["check_cosine_momentum", "move_along_cosine"]


def move_along_cosine(encoder: FusedEMA, online: nn.Module, passes: int) -> None:
    """Moves a momentum encoder once, with the momentum that the cosine has at the current iteration.

    Its ``steps`` buffer goes on counting forward passes, as mmpretrain's methods do, so that under gradient
    accumulation too the cosine ends with the run.

    Args:
        encoder: The momentum encoder.
        online: What it follows.
        passes: Forward passes since it moved last, >= 1.
    """
    if passes > 1:
        encoder.count += passes - 1
    encoder.update_parameters(online)


def check_cosine_momentum(method: nn.Module) -> None:
    """Raises a ValueError where the length of the run is unknown, which mmpretrain's CosineEMA divides by.

    Momentum goes from its start to its end along half a cosine over ``max_iters`` of mmengine's MessageHub. A Runner
    sets ``max_iters``, which counts forward passes; :func:`move_along_cosine` goes along it by those.
    """
    if not MessageHub.get_current_instance().runtime_info.get("max_iters"):
        raise ValueError(
            f"{type(method).__name__} moves its momentum along a cosine over max_iters and MessageHub has none: train "
            "with mmengine's Runner, or call MessageHub.get_current_instance().update_info('max_iters', steps)"
        )
