"""Faster or smaller encoders: the memory's layout, compilation, and activations computed twice.

All leave state keys as they are. What is set on an instance is its ``forward``, so that hooks, wrappers and copies go
on working.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import MethodType
from typing import Any
from warnings import warn

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mixssl.utils.errors import ConfigError


class EncoderOptions:
    """Mixin that gives a model arguments for faster or smaller encoders; put it before the algorithm among the bases.

    Encoders are backbone and neck, and those of momentum encoders and frozen teachers. Channels innermost and
    compilation change losses by rounding: sums run in another order, operations are fused. Blocks computed twice change
    no bit: running statistics of batch normalisation are updated once, and dropout draws the same again.

    Args:
        *args: Of the algorithm.
        channels_last: Store weights with the channels innermost, which convolutions then hand on to their maps.
        checkpoint_backbone: Keep of each block of the backbone its input only, and compute the rest once more in the
            backward pass.
        compile_encoders: Compile each encoder by itself at its first call; a dict has torch.compile's arguments, of
            which ``dynamic`` is False unless given. What can't be compiled runs as it is, with a warning.
        **kwargs: Of the algorithm.

    Raises:
        ConfigError: Options that exclude each other, or a backbone that has no blocks.
    """

    def __init__(
        self,
        *args: Any,
        channels_last: bool = False,
        checkpoint_backbone: bool = False,
        compile_encoders: bool | Mapping[str, Any] = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        # Encoders that are built later are copies of these.
        model: Any = self
        self.channels_last = channels_last
        if channels_last:
            _set_layout(model, torch.channels_last)
        if checkpoint_backbone:
            _check_checkpoints(model.backbone, compile_encoders)
            for block in _blocks(model.backbone):
                block.forward = _Checkpointed(block)
        if compile_encoders:
            given = compile_encoders if isinstance(compile_encoders, Mapping) else {}
            for module in _encoders(model):
                module.forward = _Compiled(module, {"dynamic": False, **given})

    def init_weights(self) -> None:
        """Draws weights as the parent does, the same ones in any layout: they are drawn as they lie in memory."""
        model: Any = self
        if self.channels_last:
            _set_layout(model, torch.contiguous_format)
        super().init_weights()  # type: ignore[misc]  # of the algorithm
        if self.channels_last:
            _set_layout(model, torch.channels_last)


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
                f"mix behind {outer!r}, or set model.checkpoint_backbone=False"
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
    """Backbones and necks: of the model, and of its teachers."""
    for name in ("backbone", "neck"):
        module = getattr(model, name, None)
        if isinstance(module, nn.Module):
            yield module
    for child in model.children():
        encoder = getattr(child, "module", None)  # of a moving average or a frozen teacher
        if isinstance(encoder, nn.Sequential):
            yield from list(encoder)[:2]


def _set_layout(model: nn.Module, layout: torch.memory_format) -> None:
    """Stores the weights of all encoders in a layout."""
    for module in _encoders(model):
        module.to(memory_format=layout)  # type: ignore[call-overload]


def _blocks(backbone: nn.Module) -> list[nn.Module]:
    """Blocks of a backbone's stages."""
    return [
        block
        for stage in backbone.children()
        if isinstance(stage, (nn.Sequential, nn.ModuleList))
        for block in stage
        if any(True for _ in block.children())
    ]


def _check_checkpoints(backbone: nn.Module, compiled: object) -> None:
    """Raises a ConfigError where a backbone's blocks can't be computed twice."""
    if compiled:
        raise ConfigError(
            "model.compile_encoders and model.checkpoint_backbone are both set, and each wants to run the backbone: "
            "leave one out"
        )
    if getattr(backbone, "with_cp", False):
        raise ConfigError(
            "model.checkpoint_backbone and model.backbone.with_cp are both set: leave with_cp out, which also counts "
            "running statistics twice"
        )
    if not _blocks(backbone):
        raise ConfigError(
            f"model.checkpoint_backbone computes blocks of the backbone twice, and {type(backbone).__name__} has no "
            "stages made of blocks: leave it out"
        )
