"""Tells a model that its parameters have been stepped.

Momentum encoders and banks must move once per optimizer step, not once per forward pass: under gradient accumulation
there are several of those, and a gradient scaler may skip the step. Only the optimizer knows. torch lets one listen to
all optimizers, which works in any training loop and under any wrapper, with nothing for the user to call.
"""

from __future__ import annotations

from typing import Any, Protocol
from weakref import WeakSet

from torch import nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

__all__ = ["listen"]


class Listener(Protocol):
    """A module that wants to know of its optimizer's steps."""

    backbone: nn.Module

    def after_optimizer_step(self) -> None:
        """Called after each step of the optimizer that owns the backbone."""


_listeners: WeakSet[Any] = WeakSet()
_installed = False


def listen(model: Listener) -> None:
    """Calls ``model.after_optimizer_step()`` after every step of the optimizer that owns its backbone's parameters.

    Asking twice is asking once; a deleted model is forgotten.
    """
    global _installed
    if not _installed:
        register_optimizer_step_post_hook(_notify)
        _installed = True
    _listeners.add(model)


def _notify(optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
    """Finds the models whose backbone this optimizer has just stepped."""
    for model in list(_listeners):
        own = {id(parameter) for parameter in model.backbone.parameters()}
        if any(
            id(parameter) in own
            for group in optimizer.param_groups
            for parameter in group["params"]
        ):
            model.after_optimizer_step()
