"""Figures of a comparison: a dot for each seed, a bar for their mean."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from mixssl.visualization.style import COLOURS, new_figure

__all__ = ["scores_figure"]


def scores_figure(
    panels: Mapping[str, Mapping[str, Mapping[int, float]]], unit: str = "%", title: str = ""
) -> Figure:
    """Draws a panel for each way to judge, with a line of dots for each row.

    The axis does not start at zero: what is to be compared lies close together, and the dots show how far seeds alone
    move a figure.

    Args:
        panels: Heading to row to seed to value; rows without a value keep their line.
        unit: Printed under the axis.
        title: Printed on top.

    Returns:
        A figure with the panels side by side, at most three in a line; rows from top to bottom, each with its mean in
        print.

    Raises:
        ValueError: There is no value at all.
    """
    if not any(values for rows in panels.values() for values in rows.values()):
        raise ValueError("panels holds no value: there is nothing to draw")
    rows = list(dict.fromkeys(row for panel in panels.values() for row in panel))
    columns = min(len(panels), 3)
    lines = -(-len(panels) // columns)
    figure = new_figure(lines * (1.4 + 0.42 * len(rows)), title)
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_axis_off()
    for axis, (heading, panel) in zip(axes.flat, panels.items(), strict=False):
        for number, row in enumerate(rows):
            values = list(panel.get(row, {}).values())
            if not values:
                continue
            colour, mean = COLOURS[number % len(COLOURS)], float(np.mean(values))
            axis.plot(values, [number] * len(values), "o", color=colour, markersize=6, alpha=0.7)
            axis.plot([mean, mean], [number - 0.28, number + 0.28], color=colour, linewidth=2.5)
            axis.annotate(
                f"{mean:.1f}",
                (mean, number - 0.3),
                ha="center",
                va="bottom",
                fontsize=9,
                color=colour,
            )
        axis.set_title(heading, fontsize=12)
        axis.set_xlabel(unit, fontsize=11)
        axis.set_ylim(len(rows) - 0.4, -0.75)
        axis.margins(x=0.15)
        axis.grid(axis="x", alpha=0.3)
    for line in axes:
        line[0].set_yticks(range(len(rows)), rows, fontsize=11)
    return figure
