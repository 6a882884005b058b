"""The figures of a comparison as a table and as the rows of a CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mixssl.cli.experiment.arithmetic import Figure, Line

__all__ = ["COLUMNS", "cells", "headings", "in_words", "markdown", "records"]

COLUMNS = (
    *("table", "row", "column", "value", "std", "unit", "n", "seeds", "config", "change", "data"),
    *("protocol", "epochs", "device", "torch", "commit"),
)
"""Of docs/en/results.csv, and so of every comparison's."""
GAIN, EQUAL = "gain", "gain, equal compute"
NONE, NOT_RUN = "–", "not run"


def headings(protocols: Sequence[str]) -> list[str]:
    """The table's first line."""
    figures = [f"{name}{part}" for name in protocols for part in ("", f" {GAIN}", f" {EQUAL}")]
    return ["", "epochs", "cost", *figures]


def in_words(figure: Figure | None, sign: bool = False) -> str:
    """Mean ± deviation, with two decimals."""
    if figure is None:
        return NONE
    mean = f"{figure.mean:+.2f}" if sign else f"{figure.mean:.2f}"
    return mean.replace("-", "−") + ("" if figure.std is None else f" ± {figure.std:.2f}")


def cells(line: Line, protocols: Sequence[str]) -> list[str]:
    """A line of the table."""
    found = [line.row.name, str(line.row.epochs), NONE if line.cost is None else f"{line.cost:.2f}"]
    for name in protocols:
        equal = in_words(line.gain_equal_compute[name], sign=True)
        if line.row.mixed and line.longer is None:
            equal = NOT_RUN
        found += [in_words(line.top1[name]), in_words(line.gain[name], sign=True), equal]
    return found


def markdown(lines: Sequence[Line], protocols: Sequence[str]) -> str:
    """The table for a document."""
    head = headings(protocols)
    rule = [":--", *["--:"] * (len(head) - 1)]
    body = [cells(line, protocols) for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body)) + "\n"


def records(
    lines: Sequence[Line],
    protocols: Sequence[str],
    titles: dict[str, str],
    circumstances: dict[str, str],
    commits: dict[str, str],
) -> list[dict[str, Any]]:
    """A record for each figure of the table, with the keys of ``COLUMNS``.

    Args:
        lines: Of the table.
        protocols: By which was judged.
        titles: The protocols in words.
        circumstances: "table", "data", "device" and "torch".
        commits: Name of a row to the commits that trained it.
    """
    found = []
    for line in lines:
        row = {
            "row": line.row.name,
            "config": line.row.config,
            "change": line.row.change,
            "epochs": line.row.epochs,
            "commit": commits[line.row.name],
            **circumstances,
        }
        for name in protocols:
            for part, figures, unit in (
                ("", line.top1, "%"),
                (f" {GAIN}", line.gain, "points"),
                (f" {EQUAL}", line.gain_equal_compute, "points"),
            ):
                figure = figures[name]
                if figure is not None:
                    found.append(row | _numbers(name + part, figure, unit, titles[name]))
        if line.cost is not None:
            cost = {"column": "cost", "value": f"{line.cost:.2f}", "unit": "ratio"}
            found.append(row | cost | {"std": "", "n": "", "seeds": "", "protocol": "step cost"})
    return [{key: record[key] for key in COLUMNS} for record in found]


def _numbers(column: str, figure: Figure, unit: str, protocol: str) -> dict[str, Any]:
    return {
        "column": column,
        "value": f"{figure.mean:.2f}",
        "std": "" if figure.std is None else f"{figure.std:.2f}",
        "unit": unit,
        "n": len(figure.by_seed),
        "seeds": " ".join(map(str, figure.by_seed)),
        "protocol": protocol,
    }
