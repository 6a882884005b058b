"""What came out of an experiment: scores and gains, as a table and as the rows of a CSV file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mixssl.cli.experiment.runs import Run
from mixssl.cli.experiment.variants import Variant
from mixssl.cli.scores import Score

__all__ = ["COLUMNS", "Result", "markdown", "records", "results_of", "table"]

COLUMNS = (
    *("table", "row", "column", "value", "std", "unit", "n", "seeds", "config", "change", "data"),
    *("protocol", "epochs", "device", "torch", "commit"),
)
"""Of docs/en/results.csv, and so of every experiment's."""
GAIN, EQUAL = " gain", " gain, equal compute"
NONE, NOT_RUN = "–", "not run"


class Result(NamedTuple):
    """A row of the table.

    Attributes:
        variant: What was run.
        cost: Compute of a step, in those of the same step without the mixture; None if not measured.
        scores: In percent and in points, by heading: a protocol's, its gain over the variant's baseline at equal
            epochs, and that over the baseline trained for as much compute. What no seed has is missing.
        has_longer: Whether there is a baseline of equal compute.
    """

    variant: Variant
    cost: float | None
    scores: dict[str, Score]
    has_longer: bool


def results_of(
    variants: Sequence[Variant],
    runs: Sequence[Run],
    protocols: Sequence[str],
    costs: Mapping[str, float],
    longer: Mapping[str, str],
) -> list[Result]:
    """The rows of the table.

    Args:
        variants: In the table's order.
        runs: Of all of them, as far as there are any.
        protocols: In the table's order.
        costs: Name of a variant to its cost.
        longer: Name of a variant to that of its baseline of equal compute.
    """
    top1: dict[tuple[str | None, str], dict[int, float]] = {}
    for run in runs:
        for protocol, percent in run.top1.items():
            top1.setdefault((run.variant, protocol), {})[run.seed] = percent
    known = {key: Score(by_seed) for key, by_seed in top1.items()}
    results = []
    for variant in variants:
        scores = {}
        for protocol in protocols:
            own = known.get((variant.name, protocol))
            if own is None:
                continue
            scores[protocol] = own
            for part, base in ((GAIN, variant.baseline), (EQUAL, longer.get(variant.name))):
                gain = own.over(known.get((base, protocol)))
                if gain is not None:
                    scores[protocol + part] = gain
        name = variant.name
        results.append(Result(variant, costs.get(name), scores, has_longer=name in longer))
    return results


def table(results: Sequence[Result], protocols: Sequence[str]) -> list[list[str]]:
    """Lines of cells, the headings first."""
    headings = [f"{name}{part}" for name in protocols for part in ("", GAIN, EQUAL)]
    lines = [["", "epochs", "cost", *headings]]
    for variant, cost, scores, has_longer in results:
        cells = [variant.name, str(variant.epochs), NONE if cost is None else f"{cost:.2f}"]
        for heading in headings:
            if heading in scores:
                cells.append(scores[heading].text(sign=heading.endswith((GAIN, EQUAL))))
            else:
                missing = heading.endswith(EQUAL) and variant.mixed and not has_longer
                cells.append(NOT_RUN if missing else NONE)
        lines.append(cells)
    return lines


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """A table for a document."""
    rule = [":--", *["--:"] * (len(lines[0]) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (lines[0], rule, *lines[1:]))


def records(
    results: Sequence[Result],
    titles: Mapping[str, str],
    notes: Mapping[str, str],
    commits: Mapping[str, str],
) -> list[dict[str, Any]]:
    """A record for each figure of the table, with the keys of ``COLUMNS``.

    Args:
        results: Rows of the table.
        titles: The protocols in words, by name.
        notes: "table", "data", "device" and "torch".
        commits: Name of a variant to the commits that trained it.
    """
    found = []
    for variant, cost, scores, _ in results:
        row = dict.fromkeys(COLUMNS, "") | {
            "row": variant.name,
            "config": variant.config,
            "change": variant.change,
            "epochs": variant.epochs,
            "commit": commits[variant.name],
            **notes,
        }
        for heading, score in scores.items():
            figure = {
                "column": heading,
                "value": f"{score.mean:.2f}",
                "std": "" if score.std is None else f"{score.std:.2f}",
                "unit": "%" if heading in titles else "points",
                "n": len(score.by_seed),
                "seeds": " ".join(map(str, score.by_seed)),
                "protocol": titles[heading.removesuffix(EQUAL).removesuffix(GAIN)],
            }
            found.append(row | figure)
        if cost is not None:
            figure = {"column": "cost", "value": f"{cost:.2f}", "unit": "ratio"}
            found.append(row | figure | {"protocol": "step cost"})
    return found
