"""What all pictures share: size, colours and markers that colour-blind readers can tell apart, and saving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "DPI",
    "MARKERS",
    "WIDTH",
    "figure_pixels",
    "look",
    "new_figure",
    "save_figure",
]

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
