"""What the time of a training step is spent on."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from mixssl.cli.benchmark import TrainStep
from mixssl.models.parts import LearnedMasks


class Phases:
    """Time of a step by what it is spent on; a phase inside another does not count for the outer one.

    On a GPU times are its own, taken by events that nobody waits for meanwhile.

    Args:
        step: Its methods are watched from now on.
    """

    ORDER = (
        "data",
        "prepare",
        "augment",
        "mix",
        "query",
        "key",
        "momentum",
        "loss",
        "backward",
        "optimizer",
        "rest",
    )

    def __init__(self, step: TrainStep) -> None:
        self._step = step
        self._marks: list[tuple[str, Any]] = []
        self._stack = ["rest"]
        model, preprocessor = step.model, step.model.data_preprocessor
        self._watch(preprocessor, "forward", "prepare")
        for name, phase in (("views", "augment"), ("mixer", "mix")):
            if getattr(preprocessor, name, None) is not None:
                inner = getattr(preprocessor, name)
                if isinstance(inner, nn.Module):
                    self._watch(inner, "forward", phase)
                else:
                    setattr(
                        preprocessor, name, _Watched(inner, self._watched(inner.__call__, phase))
                    )
        for name, phase in (
            ("encode_online", "query"),
            ("encode_target", "key"),
            ("step_momentum", "momentum"),
            ("sum_losses", "loss"),
        ):
            self._watch(model, name, phase)
        for part in model.parts:
            if isinstance(part, LearnedMasks):
                self._watch(part, "render", "mix")
        self._watch(step.optimizer, "backward", "backward")
        for name in ("step", "zero_grad"):
            self._watch(step.optimizer, name, "optimizer")

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Counts what runs meanwhile for a phase."""
        self._mark()
        self._stack.append(name)
        try:
            yield
        finally:
            self._mark()
            self._stack.pop()

    def start(self) -> None:
        """Starts counting anew."""
        self._marks, self._stack = [], ["rest"]
        self._mark()

    def seconds(self) -> dict[str, float]:
        """Seconds by phase since :meth:`start`."""
        self._mark()
        self._step.wait()
        found = dict.fromkeys(self.ORDER, 0.0)
        for (_, begin), (name, end) in zip(self._marks, self._marks[1:], strict=False):
            found[name] += begin.elapsed_time(end) / 1e3 if self._on_gpu else end - begin
        return {name: value for name, value in found.items() if value}

    @property
    def _on_gpu(self) -> bool:
        return self._step.device.type == "cuda"

    def _mark(self) -> None:
        """Notes that the phase that has been running ends here."""
        if self._on_gpu:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._marks.append((self._stack[-1], event))
        else:
            self._marks.append((self._stack[-1], time.perf_counter()))

    def _watch(self, owner: Any, name: str, phase: str) -> None:
        if hasattr(owner, name):
            object.__setattr__(owner, name, self._watched(getattr(owner, name), phase))

    def _watched(self, function: Callable[..., Any], phase: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.phase(phase):
                return function(*args, **kwargs)

        return call


class _Watched:
    """An object with another call."""

    def __init__(self, inner: Any, call: Callable[..., Any]) -> None:
        self._inner, self._call = inner, call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
