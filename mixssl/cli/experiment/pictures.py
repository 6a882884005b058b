"""Pictures of a comparison: its figures, and the curves of its runs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from mixssl.cli.experiment.arithmetic import Line
from mixssl.cli.experiment.runs import Outcome
from mixssl.utils.errors import ConfigError
from mixssl.visualization import Series, read_run, runs_figure, save_figure, scores_figure

__all__ = ["draw_pictures"]

CURVES = ("loss", "knn_top1", "probe_top1")


def draw_pictures(
    lines: Sequence[Line],
    outcomes: Sequence[Outcome],
    titles: dict[str, str],
    folder: Path,
) -> dict[str, Path]:
    """Draws what there is to draw.

    Args:
        lines: Of the table.
        outcomes: Of all runs.
        titles: Protocol to its words, for those that were asked for.
        folder: For the files.

    Returns:
        What a picture shows, in words, to its file; empty if no run has a figure.
    """
    found = {}
    # Trained rows first, so that a row has the same colour in both pictures.
    lines = sorted(lines, key=lambda line: not line.row.epochs)
    panels = {
        title: {
            line.row.name: figure.by_seed if (figure := line.top1[name]) is not None else {}
            for line in lines
        }
        for name, title in titles.items()
    }
    if any(values for panel in panels.values() for values in panel.values()):
        words = "Top-1 accuracy: a dot for each seed, a bar for their mean. The axes do not start at zero."
        found[words] = save_figure(scores_figure(panels), folder / "scores.png")
    curves = {line.row.name: _mean_curves(line.row.name, outcomes) for line in lines}
    curves = {name: run for name, run in curves.items() if run}
    known = {key for run in curves.values() for key in run}
    if known:
        keys = [key for key in CURVES if key in known]
        words = "While training, mean over seeds. Losses of different methods can't be compared."
        found[words] = save_figure(runs_figure(curves, keys), folder / "curves.png")
    return found


def _mean_curves(row: str, outcomes: Sequence[Outcome]) -> dict[str, Series]:
    """Mean over those of a row's runs that have logged anything, at the steps that all of them have."""
    runs = []
    for outcome in outcomes:
        if outcome.row == row:
            try:
                runs.append(read_run(outcome.folder))
            except ConfigError:  # initial weights, or a run that failed before its first line
                continue
    found = {}
    for key in CURVES:
        series = [run[key] for run in runs if key in run]
        values = [dict(zip(one.steps, one.values, strict=True)) for one in series]
        steps = sorted(set.intersection(*map(set, values))) if values else []
        if steps:
            means = [statistics.fmean(one[step] for one in values) for step in steps]
            found[key] = Series(steps, means, series[0].unit)
    return found
