"""Using an encoder as a guide: it leads another part of the model and itself neither learns nor remembers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from mixssl.mixing import mask_blend
from mixssl.models.encoder_options import eager, still_statistics
from mixssl.models.necks import adjust_mask
from mixssl.structures import BLOCK, MixedView

__all__ = ["captured", "frozen", "render_learned", "run_until"]


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


def render_learned(
    block: Any, maps: Tensor, inputs: Sequence[Tensor], mixture: MixedView
) -> MixedView:
    """Has a Mix Block make the mask of a learned mixture, and blends by it.

    Args:
        block: A :class:`~mixssl.models.necks.MixBlock`.
        maps: What the guide makes of view ``mixture.source``, without gradient.
        inputs: Clean views, each (N, C, H, W).
        mixture: Without pixels.

    Returns:
        The mixture with pixels and mask: with gradient into the block where the mixture is the block's; else without,
        and the mask adjusted to λ if the block's ``adjust`` says so.
    """
    images, others = inputs[mixture.source], inputs[mixture.partner_view]
    rows = mixture.index, mixture.partner, mixture.lam
    with nullcontext() if mixture.learned == BLOCK else torch.no_grad():
        mask = block(maps, *rows, (images.shape[-2], images.shape[-1]))
        if mixture.learned != BLOCK and block.adjust:
            mask = adjust_mask(mask, mixture.lam)
        mixed = mask_blend(images[mixture.index], others[mixture.partner], mask)
    return mixture._replace(images=mixed, mask=mask)


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
