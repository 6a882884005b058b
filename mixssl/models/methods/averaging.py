"""Momentum encoders that move by a few fused operations, without asking the device how often they have moved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import cos, pi
from typing import Any, TypeVar

import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseAveragedModel, ExponentialMovingAverage
from mmpretrain.models.utils import CosineEMA
from torch import Tensor, nn

from mixssl.utils.errors import ConfigError

__all__ = ["FusedCosineEMA", "FusedEMA", "fused"]

LARGEST = 0.5
"""Of the momentum, above which an encoder would follow the other rather than average it."""
_Module = TypeVar("_Module", bound=nn.Module)


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
            self._note(int(self.steps))
        assert self._known is not None
        return self._known[2]

    @count.setter
    def count(self, value: int) -> None:
        self.steps.fill_(value)
        self._note(value)

    def _note(self, value: int) -> None:
        self._known = (self.steps, self.steps._version, value)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Moves once towards a model like the one that was copied; the first time is a copy, buffers are always one.

        Args:
            model: On the same device.
        """
        count = self.count
        for averaged, source in _alike(self.module.parameters(), model.parameters()):
            if count == 0:
                torch._foreach_copy_(averaged, source)
            else:
                self.move(averaged, source, count)
        for averaged, source in _alike(self.module.buffers(), model.buffers()):
            torch._foreach_copy_(averaged, source)
        self.count = count + 1

    def alike(self, model: nn.Module) -> FusedEMA:
        """An average of another model, by the same momentum."""
        return type(self)(model, momentum=self.momentum)

    def move(self, averaged: list[Tensor], source: list[Tensor], count: int) -> None:
        """Moves tensors of one kind, in place; ``count`` moves have been made before, one at least."""
        torch._foreach_lerp_(averaged, source, self.momentum)


class FusedCosineEMA(FusedEMA, CosineEMA):
    """mmpretrain's moving average along half a cosine over the run, bit by bit, for all parameters at once.

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

    def alike(self, model: nn.Module) -> FusedCosineEMA:
        """An average of another model, by the same momentum along the same cosine."""
        return type(self)(model, self.momentum, self.end_momentum)

    def move(self, averaged: list[Tensor], source: list[Tensor], count: int) -> None:
        """Moves tensors of one kind by the momentum after ``count`` of ``max_iters`` iterations."""
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


def _alike(
    averaged: Iterable[Tensor], source: Iterable[Tensor]
) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """Pairs of tensors by data type, since a fused operation takes one type."""
    groups: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}
    for own, new in zip(averaged, source, strict=True):
        mine, theirs = groups.setdefault(own.dtype, ([], []))
        mine.append(own)
        theirs.append(new)
    yield from groups.values()
