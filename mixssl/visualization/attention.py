"""Attention maps of several models side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from mixssl.visualization.style import WIDTH, new_figure, pixels

COLUMNS = 6
"""Several images share a line where they fit."""
COLOURS = "viridis"  # even steps in brightness, for colour-blind readers and grey prints too


def attention_figure(
    images: Tensor,
    maps_by_name: Mapping[str, Tensor],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    title: str = "",
) -> Figure:
    """Draws each image and beside it each model's map over the image in grey.

    Args:
        images: Normalised, (N, C, H, W).
        maps_by_name: Heading of a column to maps, (N, H, W) in [0, 1].
        mean: As in :func:`mixssl.visualization.style.pixels`.
        std: As ``mean``.
        title: Printed on top.

    Returns:
        A figure with 1 + the number of models axes for each image, one or more images to a line, and a scale.

    Raises:
        ValueError: Nothing to draw, or maps of other images.
    """
    shapes = {name: tuple(maps.shape) for name, maps in maps_by_name.items()}
    if not len(images) or set(shapes.values()) != {(len(images), *images.shape[-2:])}:
        raise ValueError(
            f"images are {tuple(images.shape)} and maps {shapes}: give at least one of both, the maps (N, H, W) of the "
            "same images"
        )
    columns = 1 + len(maps_by_name)
    beside = min(max(COLUMNS // columns, 1), len(images))
    lines = -(-len(images) // beside)
    tile = min(WIDTH / (beside * columns + 0.4), 2.6)
    figure = new_figure(tile * lines + 1.1, title)
    grid = figure.subplots(lines, beside * columns, squeeze=False)
    for panel in grid.flat:
        panel.set_axis_off()
    # Image after image, each with its own columns.
    rows = grid.reshape(lines * beside, columns)
    for row in rows[:beside]:
        for panel, heading in zip(row, ["image", *maps_by_name], strict=True):
            panel.set_title(heading, fontsize=13)
    drawn: Any = None
    for number, picture in enumerate(pixels(images, mean, std)):
        first, *others = rows[number]
        first.imshow(picture.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        for panel, maps in zip(others, maps_by_name.values(), strict=True):
            # Grey from the middle up: on black the colours would not be those of the scale.
            panel.imshow(picture.mean(2).numpy(), cmap="gray", vmin=-1, vmax=1)
            own = maps[number].cpu().numpy()
            drawn = panel.imshow(own, cmap=COLOURS, vmin=0, vmax=1, alpha=0.6)
    bar = figure.colorbar(drawn, ax=grid, shrink=min(1.0, 3 / lines), aspect=30, pad=0.01)
    bar.set_label("response, 0 weakest to 1 strongest of an image", fontsize=11)
    return figure
