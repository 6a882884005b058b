"""Looking at a model in the middle of its training, and leaving no trace."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.dist import broadcast, get_world_size
from torch import nn

from mixssl.utils.random_state import kept_random_state


@contextmanager
def in_evaluation(model: nn.Module) -> Iterator[None]:
    """Hold a model in evaluation mode, without gradients, on this rank alone.

    Afterwards every module's mode and the random states are what they were.

    Args:
        model: A model without its distributed wrapper.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        with kept_random_state(), torch.no_grad():
            model.eval()
            yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Hold a model in evaluation mode, with the same statistics on every rank; all ranks enter together.

    Inside, the buffers of backbone and neck are those of rank 0, which a checkpoint would save: without it each rank
    has its own BatchNorm statistics between two steps. Afterwards every module's mode, the buffers and the random
    states are what they were.

    Args:
        model: A model without its distributed wrapper.
    """
    parts = [getattr(model, name, None) for name in ("backbone", "neck")]
    buffers = [b for part in parts if part is not None for b in part.buffers()]
    shared = get_world_size() > 1
    own = [buffer.clone() for buffer in buffers] if shared else []
    try:
        with in_evaluation(model):
            if shared:
                for buffer in buffers:
                    broadcast(buffer)
            yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(buffers if shared else [], own, strict=True):
                buffer.copy_(value)
