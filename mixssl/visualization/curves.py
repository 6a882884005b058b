"""Loss curves of several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixssl.visualization.style import COLOURS, new_figure

__all__ = ["curves_figure"]

_STYLES = ("-", "--", "-.", ":")


def curves_figure(
    runs: Mapping[str, Mapping[str, Sequence[float]]],
    steps_per_epoch: int = 1,
    headings: Mapping[str, str] | None = None,
    title: str = "",
) -> Figure:
    """Draws a panel for each quantity, with a line for each run that has it: mean per epoch, every step faintly behind.

    Args:
        runs: Name of a run, then name of a quantity, to its value at every step; the runs may differ in length.
        steps_per_epoch: Steps that are averaged to a point, >= 1.
        headings: What to print over a quantity's panel instead of its name.
        title: Printed on top.

    Returns:
        A figure with a panel per quantity, in the order in which the runs name them.

    Raises:
        ValueError: If no run has a quantity, or ``steps_per_epoch`` is below 1.
    """
    names = list(dict.fromkeys(name for run in runs.values() for name in run))
    if not names:
        raise ValueError(
            "runs holds no quantity: give at least one run with at least one list of values"
        )
    if steps_per_epoch < 1:
        raise ValueError(f"steps_per_epoch is {steps_per_epoch} and must be >= 1")
    figure = new_figure(4.6, title)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        for number, (run, quantities) in enumerate(runs.items()):
            if name in quantities:
                _draw_line(panel, quantities[name], steps_per_epoch, run, number)
        panel.set_title((headings or {}).get(name, name), fontsize=13)
        panel.set_xlabel("epoch (line: mean of an epoch, faint: every step)", fontsize=12)
        panel.set_ylabel("loss", fontsize=12)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=12)
    return figure


def _draw_line(
    panel: Axes, values: Sequence[float], per_epoch: int, label: str, number: int
) -> None:
    """Draws the steps faintly and the means of the epochs over them."""
    series = np.asarray(values, dtype=float)
    colour, style = COLOURS[number % len(COLOURS)], _STYLES[number % len(_STYLES)]
    panel.plot(
        np.arange(1, len(series) + 1) / per_epoch, series, color=colour, alpha=0.2, linewidth=0.8
    )
    starts = range(0, len(series), per_epoch)
    means = [series[start : start + per_epoch].mean() for start in starts]
    ends = [min(start + per_epoch, len(series)) / per_epoch for start in starts]
    marker = "o" if len(means) == 1 else None
    panel.plot(
        ends, means, color=colour, linestyle=style, linewidth=2.2, label=label, marker=marker
    )
