"""Faster or smaller encoders, in place: the memory's layout, compilation, and activations computed twice.

All change a built model and leave its state keys as they are. What is set on an instance is its ``forward``, so that
hooks, wrappers and copies go on working.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import MethodType
from typing import Any
from warnings import warn

import torch
from mmengine.model import BaseAveragedModel
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

__all__ = [
    "checkpoint_backbone",
    "compile_encoders",
    "eager",
    "refuse_inside_checkpoint",
    "still_statistics",
    "use_channels_last",
]


def use_channels_last(model: nn.Module) -> None:
    """Stores the weights of all encoders with the channels innermost, which convolutions then hand on to their maps.

    Changes losses by rounding: sums run in another order.

    Args:
        model: With ``backbone``, and ``neck`` and momentum encoders if it has them.
    """
    for module in _encoders(model):
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def compile_encoders(model: nn.Module, options: Mapping[str, Any] | None = None) -> None:
    """Compiles backbone and neck, and those of momentum encoders, each by itself at its first call.

    Changes losses by rounding, where the backend fuses operations. What cannot be compiled runs as it is, with a
    warning.

    Args:
        model: With ``backbone``, and ``neck`` and momentum encoders if it has them.
        options: Of torch.compile: backend, mode, ...; a graph for each shape (``dynamic=False``) unless given.
    """
    for module in _encoders(model):
        module.forward = _Compiled(module, {"dynamic": False} | dict(options or {}))


def checkpoint_backbone(model: nn.Module) -> None:
    """Keeps of each block of the backbone its input only, and computes the rest once more in the backward pass.

    Exact: running statistics of batch normalisation are updated once, and dropout draws the same again.

    Args:
        model: With a ``backbone`` of blocks.

    Raises:
        ValueError: If the backbone has no blocks.
    """
    blocks = [
        block
        for stage in model.backbone.children()  # type: ignore[union-attr]
        if isinstance(stage, (nn.Sequential, nn.ModuleList))
        for block in stage
        if any(True for _ in block.children())
    ]
    if not blocks:
        raise ValueError(
            f"checkpoint_backbone computes blocks of the backbone twice, and {type(model.backbone).__name__} has no "
            "stages made of blocks: set checkpoint_backbone=False"
        )
    for block in blocks:
        block.forward = _Checkpointed(block)


@contextmanager
def eager(*modules: nn.Module) -> Iterator[None]:
    """Runs compiled modules as they are written, so that hooks inside them, which come and go, are called."""
    found = [module.__dict__.get("forward") for module in modules]
    compiled = [forward for forward in found if isinstance(forward, _Compiled) and forward.active]
    try:
        for forward in compiled:
            forward.active = False
        yield
    finally:
        for forward in compiled:
            forward.active = True


def refuse_inside_checkpoint(backbone: nn.Module, layer: str) -> None:
    """Raises a ValueError where a layer lies inside a block that is computed twice: a hook on it would be missing."""
    steps = layer.split(".")
    for end in range(1, len(steps)):
        outer = ".".join(steps[:end])
        if isinstance(backbone.get_submodule(outer).__dict__.get("forward"), _Checkpointed):
            raise ValueError(
                f"checkpoint_backbone computes {outer!r} twice, and features are mixed behind {layer!r} inside it: "
                f"mix behind {outer!r}, or set checkpoint_backbone=False"
            )


@contextmanager
def still_statistics(*modules: nn.Module) -> Iterator[None]:
    """Has batch normalisation in training mode normalise by the batch and leave its running statistics untouched."""
    norms = [
        norm
        for module in modules
        for norm in module.modules()
        if isinstance(norm, _BatchNorm) and norm.training and norm.track_running_stats
    ]
    try:
        for norm in norms:
            norm.track_running_stats = False
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


class _Compiled:
    """The forward of a module, compiled; a copy of the module compiles anew."""

    def __init__(self, module: nn.Module, options: dict[str, Any]) -> None:
        self.active = True
        self._module = module
        self._options = options
        self._run: Callable[..., Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_run": None}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        plain = MethodType(type(self._module).forward, self._module)
        if not self.active:
            return plain(*args, **kwargs)
        if self._run is None:
            self._run = torch.compile(plain, **self._options)
        try:
            return self._run(*args, **kwargs)
        except Exception as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            self.active = False
            line = str(error).strip().partition("\n")[0]
            warn(f"{type(self._module).__name__} runs uncompiled: {line}", stacklevel=2)
        return plain(*args, **kwargs)


class _Checkpointed:
    """The forward of a module whose inner activations are computed once more in the backward pass."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        plain = MethodType(type(self._module).forward, self._module)
        if not (self._module.training and torch.is_grad_enabled()):
            return plain(*args, **kwargs)
        return checkpoint(plain, *args, use_reentrant=False, context_fn=self._contexts, **kwargs)

    def _contexts(self) -> tuple[AbstractContextManager, AbstractContextManager]:
        """Of the first pass, and of the second, which does the same and leaves no trace."""
        norms = [norm for norm in self._module.modules() if isinstance(norm, _BatchNorm)]
        return nullcontext(), _as_before([(norm, norm.track_running_stats) for norm in norms])


@contextmanager
def _as_before(norms: list[tuple[_BatchNorm, bool]]) -> Iterator[None]:
    """Has batch normalisation track statistics, or not, as it did before, and lets copies of them be changed."""
    own = [(norm, norm.track_running_stats, dict(norm._buffers)) for norm, _ in norms]
    try:
        for norm, tracked in norms:
            norm.track_running_stats = tracked
            norm._buffers = {
                name: None if buffer is None else buffer.clone()
                for name, buffer in norm._buffers.items()
            }
        yield
    finally:
        for norm, tracked, buffers in own:
            norm.track_running_stats, norm._buffers = tracked, buffers


def _encoders(model: nn.Module) -> Iterator[nn.Module]:
    """Backbones and necks: of the model, and of its momentum encoders."""
    for name in ("backbone", "neck"):
        module = getattr(model, name, None)
        if isinstance(module, nn.Module):
            yield module
    for child in model.children():
        if isinstance(child, BaseAveragedModel) and isinstance(child.module, nn.Sequential):
            yield from list(child.module)[:2]
