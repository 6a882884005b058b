"""Means, deviations and gains of a comparison."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mixssl.cli.experiment.rows import Row
from mixssl.cli.experiment.runs import Outcome

__all__ = ["Figure", "Line", "gain", "lines_of", "mean_figure"]


class Figure(NamedTuple):
    """A mean over seeds.

    Attributes:
        mean: In percent, or in points for a gain.
        std: Of a sample, over n - 1; None for one seed.
        by_seed: What it is the mean of.
    """

    mean: float
    std: float | None
    by_seed: dict[int, float]


class Line(NamedTuple):
    """A row of the table.

    Attributes:
        row: What was run.
        cost: Compute of a step, in those of the same step without the mixture; None if not measured.
        top1: By protocol; None where no seed has a figure.
        gain: Over the row that it is compared with, at equal epochs.
        gain_equal_compute: Over the baseline trained for as much compute.
        longer: Name of that baseline's row.
    """

    row: Row
    cost: float | None
    top1: dict[str, Figure | None]
    gain: dict[str, Figure | None]
    gain_equal_compute: dict[str, Figure | None]
    longer: str | None


def mean_figure(by_seed: Mapping[int, float]) -> Figure | None:
    """Mean and sample standard deviation over seeds; None for none."""
    if not by_seed:
        return None
    values = list(by_seed.values())
    std = statistics.stdev(values) if len(values) > 1 else None
    return Figure(statistics.fmean(values), std, dict(by_seed))


def gain(figure: Figure | None, over: Figure | None) -> Figure | None:
    """Mean and deviation of the differences seed by seed, over those seeds that both have."""
    if figure is None or over is None:
        return None
    return mean_figure(
        {
            seed: value - over.by_seed[seed]
            for seed, value in figure.by_seed.items()
            if seed in over.by_seed
        }
    )


def lines_of(
    rows: Sequence[Row],
    outcomes: Sequence[Outcome],
    protocols: Sequence[str],
    costs: Mapping[str, float],
    longer: Mapping[str, str],
) -> list[Line]:
    """The table's rows.

    Args:
        rows: In the table's order.
        outcomes: Of their runs.
        protocols: In the table's order.
        costs: Name of a row to its cost.
        longer: Name of a row to that of its baseline of equal compute.
    """
    top1: dict[str, dict[str, Figure | None]] = {
        row.name: {
            protocol: mean_figure(
                {
                    outcome.seed: outcome.top1[protocol]
                    for outcome in outcomes
                    if outcome.row == row.name and protocol in outcome.top1
                }
            )
            for protocol in protocols
        }
        for row in rows
    }

    def over(row: Row, other: str | None) -> dict[str, Figure | None]:
        found = top1.get(other) if other is not None else None
        return {
            name: gain(top1[row.name][name], found[name]) if found else None for name in protocols
        }

    return [
        Line(
            row,
            costs.get(row.name),
            top1[row.name],
            over(row, row.against),
            over(row, longer.get(row.name)),
            longer.get(row.name),
        )
        for row in rows
    ]
