"""Reaching into an encoder: freezing it, reading a layer, mixing behind one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mixssl.mixing import blend
from mixssl.models.encoder_options import eager, refuse_inside_checkpoint, still_statistics
from mixssl.structures import MixedView


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Keeps modules as they are while gradients flow through them to what they are fed with.

    Their parameters get no gradient. Batch normalisation in training mode goes on normalising by the batch, and leaves
    its running statistics and its count of batches untouched. All is as before on leaving, after an exception too.

    Args:
        *modules: Encoders, heads; whatever they contain is meant as well.
    """
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        with still_statistics(*modules):
            yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@contextmanager
def captured(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collects what a module puts out, without gradient, a tensor per forward pass.

    Yields:
        A list that grows with each pass of the module while the context lasts.

    Raises:
        ValueError: In the module's forward pass, if it puts out anything but one tensor.
    """
    found: list[Tensor] = []
    handle = module.register_forward_hook(
        lambda module, args, output: found.append(_single(module, output).detach())
    )
    try:
        yield found
    finally:
        handle.remove()


@torch.no_grad()
def run_until(backbone: nn.Module, layer: str, images: Tensor) -> Tensor:
    """Runs a backbone as far as one of its modules, no further, without gradient.

    Args:
        backbone: As its mode has it: batch normalisation in training mode updates its statistics, unless
            :func:`frozen`.
        layer: Dotted name of one of its modules, like ``"layer3"``.
        images: (N, C, H, W).

    Returns:
        What the module puts out: maps (N, C', h, w), or tokens (N, L, C').

    Raises:
        ValueError: If the backbone has no such module, passes it by, or it puts out anything but one tensor.
    """
    modules = dict(backbone.named_modules())
    if not layer or layer not in modules:
        raise ValueError(
            f"layer is {layer!r} and {type(backbone).__name__} has no such module: choose one like "
            f"{', '.join(name for name, _ in backbone.named_children())}"
        )

    def stop(module: nn.Module, args: tuple, output: Any) -> None:
        raise _Reached(_single(module, output))

    handle = modules[layer].register_forward_hook(stop)
    try:
        with eager(backbone):
            backbone(images)
    except _Reached as reached:
        return reached.output
    finally:
        handle.remove()
    raise ValueError(
        f"{type(backbone).__name__} does not run its module {layer!r}: choose another layer"
    )


def check_layers(
    backbone: nn.Module, layers: tuple[str, ...], who: str = "the mixer mixes behind"
) -> None:
    """Raises a ValueError where the backbone has no module of a name; ``who`` begins the message."""
    modules = dict(backbone.named_modules())
    for layer in layers:
        if layer not in modules:
            raise ValueError(
                f"{who} {layer!r} and {type(backbone).__name__} has no such module: "
                f"choose layers like {', '.join(name for name, _ in backbone.named_children())}"
            )


@contextmanager
def mixed_hidden(backbone: nn.Module, mixture: MixedView) -> Iterator[None]:
    """Blends the output of one of the backbone's modules with its own rows in the order of the partners.

    Args:
        backbone: Encodes the view ``mixture.source`` meanwhile, once.
        mixture: With a ``layer``; one without leaves the backbone as it is.
    """
    layer = mixture.layer
    if layer is None:
        yield
        return

    def mix(module: nn.Module, args: tuple, output: Any) -> Tensor:
        if not isinstance(output, Tensor) or len(output) != len(mixture.partner):
            found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(
                f"{layer!r} puts out {found} and must put out one tensor with a row for each of "
                f"{len(mixture.partner)} images to be mixed: choose another layer"
            )
        return blend(output, output[mixture.partner], mixture.lam)

    refuse_inside_checkpoint(backbone, layer)
    handle = backbone.get_submodule(layer).register_forward_hook(mix)
    try:
        with eager(backbone):
            yield
    finally:
        handle.remove()


class _Reached(Exception):  # noqa: N818  (nothing went wrong)
    """Ends a forward pass at the layer that was asked for."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output


def _single(module: nn.Module, output: Any) -> Tensor:
    """The output, if it is one tensor."""
    if not isinstance(output, Tensor):
        raise ValueError(
            f"{type(module).__name__} puts out a {type(output).__name__} and must put out one tensor: "
            "choose another layer"
        )
    return output
