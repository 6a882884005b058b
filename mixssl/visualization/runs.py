"""What runs have logged, read back and drawn; and what a comparison of runs has found."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mixssl.utils.errors import ConfigError
from mixssl.visualization.style import look, panels

ASIDE = {"iter", "epoch", "step", "time", "data_time", "memory", "momentum", "base_lr", "grad_norm"}
"""Numbers of a training line that are no result."""
FEW = 30
"""Fewer steps than these have a dot each."""
STROKES = ("-", "--", "-.", ":")


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

    A run that was resumed has several logs; where they overlap, the later one counts. mmpretrain's ``analyze_logs``
    takes each log for a run of its own.

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
    for line in (line for log in logs for line in log.read_text().splitlines() if line.strip()):
        row = json.loads(line)
        unit, step = ("iteration", row["iter"]) if "iter" in row else ("epoch", row.get("step", 0))
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
    if missing:
        raise ValueError(f"no run has logged {missing[0]!r}; the runs have {', '.join(known)}")
    figure, axes = panels(len(chosen), 3, 3.6, title, margin=0.9)
    lines = {}
    for panel, quantity in zip(axes, chosen, strict=True):
        for number, (name, run) in enumerate(runs.items()):
            if quantity not in run:
                continue
            steps, values, unit = run[quantity]
            colour, _ = look(number)
            dots = "o" if len(steps) < FEW else ""
            (lines[name],) = panel.plot(
                steps, values, dots + STROKES[number % len(STROKES)], color=colour, markersize=4
            )
            last = f"  {values[-1]:.4g}"
            panel.annotate(last, (steps[-1], values[-1]), color=colour, fontsize=10, va="center")
            panel.set_xlabel(unit, fontsize=11)
        panel.set_title(quantity, fontsize=13)
        panel.margins(x=0.16)
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        panel.grid(alpha=0.3)
    columns = min(len(lines), 4)
    figure.legend(lines.values(), lines, loc="outside lower center", ncols=columns, fontsize=12)
    return figure


def scores_figure(
    figures: Mapping[str, Mapping[str, Mapping[int, float]]], unit: str = "%", title: str = ""
) -> Figure:
    """Draws a panel for each way to judge, with a line of dots for each row: one for each seed, and a bar for the mean.

    The axis does not start at zero: what is to be compared lies close together, and the dots show how far seeds alone
    move a figure.

    Args:
        figures: Heading to row to seed to value; rows without a value keep their line.
        unit: Printed under the axis.
        title: Printed on top.

    Returns:
        A figure with up to three panels in a line; rows from top to bottom, each with its mean in print.

    Raises:
        ValueError: There is no panel.
    """
    rows = list(dict.fromkeys(row for found in figures.values() for row in found))
    figure, axes = panels(len(figures), 3, 1.4 + 0.42 * len(rows), title, margin=0)
    for axis, (heading, found) in zip(axes, figures.items(), strict=True):
        for number, row in enumerate(rows):
            values = list(found.get(row, {}).values())
            if not values:
                continue
            (colour, _), mean = look(number), float(np.mean(values))
            axis.plot(values, [number] * len(values), "o", color=colour, markersize=6, alpha=0.7)
            axis.plot([mean, mean], [number - 0.28, number + 0.28], color=colour, linewidth=2.5)
            axis.text(mean, number - 0.3, f"{mean:.1f}", ha="center", fontsize=9, color=colour)
        axis.set_title(heading, fontsize=12)
        axis.set_xlabel(unit, fontsize=11)
        axis.set_ylim(len(rows) - 0.4, -0.75)
        axis.set_yticks(range(len(rows)), rows, fontsize=11)
        axis.margins(x=0.15)
        axis.grid(axis="x", alpha=0.3)
    for axis in axes:
        axis.label_outer()
    return figure
