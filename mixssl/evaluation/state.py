"""Looking at a model in the middle of its training, and leaving no trace."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.dist import broadcast, get_world_size
from torch import nn

__all__ = ["in_evaluation", "kept_random_state", "undisturbed"]


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Put the random states of Python, NumPy and torch (CPU and current device) back afterwards.

    Data loaders draw a seed from torch whenever they start, and mmengine's samplers one from NumPy.
    """
    python = random.getstate()
    numpy = np.random.get_state()  # noqa: NPY002 (nothing is drawn: others' state is kept)
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


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
