"""What runs have logged, read back and drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mixssl.utils.errors import ConfigError
from mixssl.visualization.style import COLOURS, new_figure

__all__ = ["Series", "read_run", "runs_figure"]

ASIDE = {"iter", "epoch", "step", "time", "data_time", "memory", "momentum", "base_lr", "grad_norm"}
"""Numbers of a training line that are no result."""
_STYLES = ("-", "--", "-.", ":")


class Series(NamedTuple):
    """A quantity over a run.

    Attributes:
        steps: In ascending order.
        values: One for each step.
        unit: What the steps are: "iteration" for what is logged in training, "epoch" for what is measured after epochs.
    """

    steps: list[int]
    values: list[float]
    unit: str


def read_run(folder: str | Path) -> dict[str, Series]:
    """Reads what mmengine's local backend has written into a work directory.

    A run that was resumed has several logs; where they overlap, the later one counts.

    Args:
        folder: A work directory.

    Returns:
        Quantity to its series, in the order of first appearance; learning rate and losses of training, and whatever was
        measured after epochs.

    Raises:
        ConfigError: There is no log in the folder, or none with a figure.
    """
    logs = sorted(Path(folder).glob("*/vis_data/scalars.json"))
    if not logs:
        raise ConfigError(
            f"{str(folder)!r} holds no */vis_data/scalars.json: name the work directory of a run"
        )
    found: dict[tuple[str, str], dict[int, float]] = {}
    for log in logs:
        for line in log.read_text().splitlines():
            row = json.loads(line) if line.strip() else {}
            trained = "iter" in row
            unit, step = ("iteration", row["iter"]) if trained else ("epoch", row.get("step", 0))
            for name, value in row.items():
                wanted = name not in ASIDE and not name.endswith("_seconds")
                if wanted and isinstance(value, (int, float)):
                    found.setdefault((name, unit), {})[int(step)] = float(value)
    if not found:
        raise ConfigError(f"the logs in {str(folder)!r} hold no figure yet")
    return {
        name if (name, "epoch") not in found or unit == "epoch" else f"{name} (training)": Series(
            sorted(values), [values[step] for step in sorted(values)], unit
        )
        for (name, unit), values in found.items()
    }


def runs_figure(
    runs: Mapping[str, Mapping[str, Series]],
    quantities: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Draws a panel for each quantity with a line for each run that has it.

    Args:
        runs: Name of a run to what ``read_run`` gives.
        quantities: What to draw; by default all but the learning rate, in the order in which the runs have them.
        title: Printed on top.

    Returns:
        A figure with up to three panels in a line. A line ends with its last value in print.

    Raises:
        ValueError: No run, or a quantity that no run has.
    """
    known = list(dict.fromkeys(name for run in runs.values() for name in run))
    chosen = [name for name in known if name != "lr"] if quantities is None else list(quantities)
    missing = [name for name in chosen if name not in known]
    if not chosen or missing:
        what = f"no run has logged {missing[0]!r}" if missing else "there is nothing to draw"
        raise ValueError(f"{what}; the runs have {', '.join(known) or 'nothing'}")
    columns = min(len(chosen), 3)
    lines = -(-len(chosen) // columns)
    figure = new_figure(0.9 + 3.6 * lines, title)
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    for panel in panels[len(chosen) :]:
        panel.set_axis_off()
    for panel, quantity in zip(panels, chosen, strict=False):
        for number, run in enumerate(runs.values()):
            series = run.get(quantity)
            if series is None:
                continue
            colour, style = COLOURS[number % len(COLOURS)], _STYLES[number % len(_STYLES)]
            marker = "o" if len(series.steps) < 30 else None
            panel.plot(
                series.steps,
                series.values,
                style,
                color=colour,
                marker=marker,
                markersize=4,
                linewidth=1.8,
            )
            panel.annotate(
                f"{series.values[-1]:.4g}",
                (series.steps[-1], series.values[-1]),
                xytext=(4, 0),
                textcoords="offset points",
                color=colour,
                fontsize=10,
                va="center",
            )
            panel.set_xlabel(series.unit, fontsize=11)
        panel.set_title(quantity, fontsize=13)
        panel.margins(x=0.16)
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        panel.grid(alpha=0.3)
    handles = [
        panels[0].plot(np.nan, np.nan, _STYLES[i % len(_STYLES)], color=COLOURS[i % len(COLOURS)])[
            0
        ]
        for i in range(len(runs))
    ]
    figure.legend(
        handles, list(runs), loc="outside lower center", ncols=min(len(runs), 4), fontsize=12
    )
    return figure
