"""Momentum encoders: how they average, and that they move once per step of the optimizer.

mmpretrain moves momentum encoder and queue inside the forward pass: under gradient accumulation several times per
optimizer step, and even when a gradient scaler skips the step. Only the optimizer knows. torch lets one listen to all
optimizers, which works in any training loop and under any wrapper, with nothing for the user to call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import cos, pi
from typing import Any, TypeVar
from weakref import WeakSet

import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseAveragedModel, ExponentialMovingAverage
from mmpretrain.models.utils import CosineEMA
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from mixssl.utils.errors import ConfigError

LARGEST = 0.5
"""Of the momentum, above which an encoder would follow the other rather than average it."""
_Module = TypeVar("_Module", bound=nn.Module)


class FollowsOptimizer:
    """Mixin for a model whose momentum encoder and banks move once per step of the optimizer of its backbone.

    A forward pass in training calls :meth:`step_momentum` where the momentum encoder may move. That the optimizer has
    stepped, torch tells.
    """

    passes = 0
    """Forward passes since the momentum encoder moved last."""
    _momentum_due = True

    def step_momentum(self) -> None:
        """Moves the momentum encoder if the optimizer has stepped since; the only place where it moves."""
        if self not in _listeners:  # a copy of a model that listens does not listen yet
            _listen(self)
        self.passes += 1
        if self._momentum_due:
            self.update_momentum()
            self._momentum_due, self.passes = False, 0

    def update_momentum(self) -> None:
        """Moves the momentum encoder towards the online one. Nothing to do for methods without."""

    def after_optimizer_step(self) -> None:
        """Called by itself after each step of the optimizer; call it by hand only where no torch optimizer runs."""
        self._momentum_due = True


class FusedEMA(ExponentialMovingAverage):
    """mmengine's moving average, bit by bit, for all parameters at once.

    mmengine's loops over the parameters, and reads the counter ``steps`` back from the device at each move, which has
    to be waited for. Here the host knows the counter; it is read again only after somebody else has written it.

    Args:
        model: What is averaged; copied.
        momentum: Weight of the new value, in (0, 1).
    """

    steps: Tensor

    def __init__(self, model: nn.Module, momentum: float = 0.0002) -> None:
        super().__init__(model, momentum=momentum)
        self._known: tuple[Tensor, int, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """A copy has a counter of its own, to be read anew."""
        return super().__getstate__() | {"_known": None}

    @property
    def count(self) -> int:
        """Value of ``steps``."""
        known = self._known
        if known is None or known[0] is not self.steps or known[1] != self.steps._version:
            # Somebody else has written the buffer: a checkpoint was loaded, the model was moved. Ask the device once.
            known = self._known = (self.steps, self.steps._version, int(self.steps))
        return known[2]

    @count.setter
    def count(self, value: int) -> None:
        self.steps.fill_(value)
        self._known = (self.steps, self.steps._version, value)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module, passes: int = 1) -> None:
        """Moves once towards a model like the one that was copied; the first time is a copy, buffers are always one.

        Args:
            model: On the same device.
            passes: Forward passes since it moved last; a constant momentum does not depend on them.
        """
        count = self.count
        for averaged, source in _by_dtype(self.module.parameters(), model.parameters()):
            if count == 0:
                torch._foreach_copy_(averaged, source)
            else:
                self.move(averaged, source, count)
        for averaged, source in _by_dtype(self.module.buffers(), model.buffers()):
            torch._foreach_copy_(averaged, source)
        self.count = count + 1

    def like(self, model: nn.Module) -> FusedEMA:
        """An average of another model, by the same momentum."""
        return type(self)(model, momentum=self.momentum)

    def move(self, averaged: list[Tensor], source: list[Tensor], count: int) -> None:
        """Moves tensors of one dtype, in place; ``count`` moves have been made before, one at least."""
        torch._foreach_lerp_(averaged, source, self.momentum)


class FusedCosineEMA(FusedEMA, CosineEMA):
    """mmpretrain's moving average along half a cosine over the run, bit by bit, for all parameters at once.

    The run's length is ``max_iters`` of mmengine's MessageHub, which a Runner sets and which counts forward passes.

    Args:
        model: What is averaged; copied.
        momentum: Weight of the new value at the start of the run, in (0, 1).
        end_momentum: At the end of the run.
    """

    def __init__(
        self, model: nn.Module, momentum: float = 0.004, end_momentum: float = 0.0
    ) -> None:
        super().__init__(model, momentum)
        self.end_momentum = end_momentum

    def update_parameters(self, model: nn.Module, passes: int = 1) -> None:
        """Moves once, with the momentum that the cosine has at the current iteration.

        ``steps`` goes on counting forward passes, as in mmpretrain's methods, so that under gradient accumulation too
        the cosine ends with the run.

        Raises:
            ValueError: If the length of the run is unknown.
        """
        if not MessageHub.get_current_instance().runtime_info.get("max_iters"):
            raise ValueError(
                "the momentum encoder moves along a cosine over max_iters and MessageHub has none: train with "
                "mmengine's Runner, or call MessageHub.get_current_instance().update_info('max_iters', steps)"
            )
        if passes > 1:
            self.count += passes - 1
        super().update_parameters(model)

    def like(self, model: nn.Module) -> FusedCosineEMA:
        """An average of another model, by the same momentum along the same cosine."""
        return type(self)(model, self.momentum, self.end_momentum)

    def move(self, averaged: list[Tensor], source: list[Tensor], count: int) -> None:
        """Moves tensors of one dtype by the momentum after ``count`` of ``max_iters`` iterations."""
        iterations = float(MessageHub.get_current_instance().get_info("max_iters"))
        # The angle in single precision, as mmpretrain has it from its counter, but from a number of the host.
        course = (cos(pi * torch.tensor(count) / iterations) + 1) / 2
        momentum = self.end_momentum - (self.end_momentum - self.momentum) * course
        torch._foreach_mul_(averaged, 1 - momentum)
        torch._foreach_add_(averaged, source, alpha=momentum)


def fused(encoder: _Module) -> _Module | FusedEMA:
    """The fused form of a moving average that has one; any other module as it is.

    Raises:
        ConfigError: A momentum above 0.5: the papers' 0.99, where the weight of the new value, 0.01, is meant.
    """
    if not isinstance(encoder, BaseAveragedModel) or encoder.update_buffers:
        return encoder
    momentum = getattr(encoder, "momentum", 0.0)
    if momentum > LARGEST:
        raise ConfigError(
            f"the momentum encoder's momentum is {momentum:g}, and in OpenMMLab it weighs the new value, by at most "
            f"{LARGEST}: did you mean {1 - momentum:.4g}, which the papers call {momentum:g}?"
        )
    if type(encoder) is ExponentialMovingAverage and encoder.interval == 1:
        return FusedEMA(encoder.module, encoder.momentum)
    if type(encoder) is CosineEMA and encoder.interval == 1:
        return FusedCosineEMA(encoder.module, encoder.momentum, encoder.end_momentum)
    return encoder


def _by_dtype(
    averaged: Iterable[Tensor], source: Iterable[Tensor]
) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """Pairs of tensors by data type, since a fused operation takes one type."""
    groups: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}
    for own, new in zip(averaged, source, strict=True):
        mine, theirs = groups.setdefault(own.dtype, ([], []))
        mine.append(own)
        theirs.append(new)
    yield from groups.values()


_listeners: WeakSet[Any] = WeakSet()
_installed = False


def _listen(model: FollowsOptimizer) -> None:
    """Has ``model.after_optimizer_step()`` called after every step of the optimizer that owns its backbone.

    A deleted model is forgotten.
    """
    global _installed
    if not _installed:
        register_optimizer_step_post_hook(_notify)
        _installed = True
    _listeners.add(model)


def _notify(optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
    """Finds the models whose backbone this optimizer has just stepped."""
    stepped: set[int] = set()
    for group in optimizer.param_groups:
        stepped.update(map(id, group["params"]))
    for model in list(_listeners):
        if not stepped.isdisjoint(map(id, model.backbone.parameters())):
            model.after_optimizer_step()
