"""Attention maps of several models side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from mixssl.visualization.style import WIDTH, new_figure

__all__ = ["attention_figure"]

_COLUMNS = 6
"""Several images share a line where they fit."""
_COLOURS = "viridis"  # even steps in brightness, for colour-blind readers and grey prints too


def attention_figure(
    images: Tensor,
    maps_by_name: Mapping[str, Tensor],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    title: str = "",
) -> Figure:
    """Draws each image and beside it each model's map over the image in grey.

    Args:
        images: Normalised, (N, C, H, W), red, green, blue.
        maps_by_name: Heading of a column to maps, (N, H, W) in [0, 1].
        mean: Per channel, as the images were normalised with, in [0, 255]; None where they were not.
        std: As ``mean``.
        title: Printed on top.

    Returns:
        A figure with 1 + the number of models axes for each image, one or more images to a line, and a scale.

    Raises:
        ValueError: Nothing to draw, or maps of other images.
    """
    if not maps_by_name or len(images) == 0:
        raise ValueError(
            f"{len(images)} images and {len(maps_by_name)} models; give at least one of both"
        )
    for name, maps in maps_by_name.items():
        if maps.shape != (len(images), *images.shape[-2:]):
            raise ValueError(
                f"the maps of {name} are {tuple(maps.shape)} for images of {tuple(images.shape)}; they must be "
                "(N, H, W) of the same images"
            )
    pictures = _pictures(images, mean, std)
    columns = 1 + len(maps_by_name)
    beside = min(max(_COLUMNS // columns, 1), len(pictures))
    lines = -(-len(pictures) // beside)
    tile = min(WIDTH / (beside * columns + 0.4), 2.6)
    figure = new_figure(tile * lines + 1.1, title)
    grid = figure.subplots(lines, beside * columns, squeeze=False)
    for panel in grid.flat:
        panel.set_axis_off()
    # Image after image, each with its own columns.
    rows = grid.reshape(lines * beside, columns)
    drawn: Any = None
    for number, picture in enumerate(pictures):
        first, *others = rows[number]
        first.imshow(picture.numpy(), interpolation="nearest")
        for panel, maps in zip(others, maps_by_name.values(), strict=True):
            # Grey from the middle up: on black the colours would not be those of the scale.
            panel.imshow(picture.mean(2).numpy(), cmap="gray", vmin=-1, vmax=1)
            drawn = panel.imshow(
                maps[number].cpu().numpy(), cmap=_COLOURS, vmin=0, vmax=1, alpha=0.6
            )
        if number < beside:
            for panel, heading in zip(rows[number], ["image", *maps_by_name], strict=True):
                panel.set_title(heading, fontsize=13)
    bar = figure.colorbar(drawn, ax=grid, shrink=min(1.0, 3 / lines), aspect=30, pad=0.01)
    bar.set_label("response, 0 weakest to 1 strongest of an image", fontsize=11)
    return figure


def _pictures(images: Tensor, mean: Sequence[float] | None, std: Sequence[float] | None) -> Tensor:
    """(N, C, H, W) to (N, H, W, 3) in [0, 1]."""
    x = images.detach().float().cpu()
    if mean is not None and std is not None:
        x = x * torch.tensor(std).view(-1, 1, 1) + torch.tensor(mean).view(-1, 1, 1)
    x = (x / 255).clamp(0, 1).permute(0, 2, 3, 1)
    return x.expand(*x.shape[:3], 3) if x.shape[3] == 1 else x
