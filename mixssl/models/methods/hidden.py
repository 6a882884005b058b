"""Mixing in a hidden layer of the backbone instead of in the pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from mixssl.mixing import blend
from mixssl.models.encoder_options import eager, refuse_inside_checkpoint
from mixssl.structures import MixedView

__all__ = ["check_layers", "mixed_hidden"]


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
def mixed_hidden(backbone: nn.Module, mixture: MixedView | None) -> Iterator[None]:
    """Blends the output of one of the backbone's modules with its own rows in the order of the partners.

    Args:
        backbone: Encodes the view ``mixture.source`` meanwhile, once.
        mixture: With a ``layer``; None leaves the backbone as it is.
    """
    if mixture is None or mixture.layer is None:
        yield
        return

    def mix(module: nn.Module, args: tuple, output: Any) -> Tensor:
        if not isinstance(output, Tensor) or len(output) != len(mixture.partner):
            found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(
                f"{mixture.layer!r} puts out {found} and must put out one tensor with a row for each of "
                f"{len(mixture.partner)} images to be mixed: choose another layer"
            )
        return blend(output, output[mixture.partner], mixture.lam)

    refuse_inside_checkpoint(backbone, mixture.layer)
    handle = backbone.get_submodule(mixture.layer).register_forward_hook(mix)
    try:
        with eager(backbone):
            yield
    finally:
        handle.remove()
