"""What all pictures share: size, colours that colour-blind readers can tell apart, panels, pixels, and saving."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

WIDTH = 12.0
"""Of every picture, in inches."""
DPI = 100
"""Pixels per inch: every picture is 1200 pixels wide."""

COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#8C6D00",
    "#8F8F8F",
    "#5E3C99",
)
"""Okabe and Ito's colours, the yellow darkened so that it can be read on white, and two more to make ten."""
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*", "<", ">")


def look(number: int) -> tuple[str, str]:
    """Colour and marker of a class; together they repeat after a hundred."""
    shift = number // len(COLOURS)
    return COLOURS[number % len(COLOURS)], MARKERS[(number + shift) % len(MARKERS)]


def new_figure(height: float, title: str = "") -> Figure:
    """Opens an empty figure of the common width that arranges itself, outside pyplot's global state.

    Args:
        height: In inches.
        title: Printed on top.
    """
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    if title:
        figure.suptitle(title, fontsize=15, fontweight="bold")
    return figure


def panels(
    number: int, columns: int, height: float, title: str = "", margin: float = 0.8
) -> tuple[Figure, list[Axes]]:
    """Opens a figure with panels, line by line.

    Args:
        number: Of panels.
        columns: Panels in a line, at most.
        height: Of a line, in inches.
        title: Printed on top.
        margin: Height of what is above and beneath the panels, in inches.

    Raises:
        ValueError: No panel.
    """
    if number < 1:
        raise ValueError("there is nothing to draw")
    columns = min(columns, number)
    lines = -(-number // columns)
    figure = new_figure(margin + height * lines, title)
    axes = list(figure.subplots(lines, columns, squeeze=False).flat)
    for unused in axes[number:]:
        unused.remove()
    return figure, axes[:number]


def pixels(
    images: Tensor, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
) -> Tensor:
    """Undoes the normalisation of images.

    Args:
        images: (..., C, H, W), C of 1 or 3 (red, green, blue).
        mean: Per channel, as the images were normalised with, in [0, 255]; None where they were not.
        std: As ``mean``.

    Returns:
        (..., H, W, C), float32, in [0, 1], on the CPU.
    """
    images = images.detach().float().cpu()
    if std is not None:
        images = images * torch.tensor(std, dtype=torch.float32).view(-1, 1, 1)
    if mean is not None:
        images = images + torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1)
    return (images / 255).clamp(0, 1).movedim(-3, -1)


def outline(axes: Axes, box: Sequence[float], colour: str) -> None:
    """Draws a box (top, left, bottom, right; half-open, in pixels) around its pixels; an empty one not at all."""
    top, left, bottom, right = box
    if bottom > top and right > left:
        # The centre of a pixel has whole coordinates, so its edge lies half a pixel before.
        corner, height, width = (left - 0.5, top - 0.5), bottom - top, right - left
        axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=2))


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Writes a figure as a file, its folder made where needed; an older file is replaced.

    Returns:
        The path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI, facecolor="white")
    return path


def figure_pixels(figure: Figure) -> np.ndarray:
    """Draws a figure into an array, (height, width, 3), uint8, red first, with the pixels that its file would have."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
