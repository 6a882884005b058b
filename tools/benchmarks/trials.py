#!/usr/bin/env python
"""Sums up the trials of a transfer: python tools/benchmarks/trials.py DIR, which holds seed_<n>/metrics.json.

Prints mean and sample standard deviation over the seeds, and writes every metric to DIR/results.json and results.csv.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import re
import statistics
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mixssl import __version__
from mixssl.cli.provenance import commit
from mixssl.cli.tool import run_tool
from mixssl.engine.whole_files import write_whole
from mixssl.utils.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
HEADLINE = re.compile(r"(?:^|/)(?:(?:bbox_|segm_)?mAP(?:_50|_75)?|AP50|AP75)$")
"""Metrics of the printed line: AP, AP50 and AP75 as VOC's and COCO's metrics call them."""


class Row(NamedTuple):
    """A metric over the trials, as the metric gives it; ``std`` is None for one trial."""

    metric: str
    seeds: str
    n: int
    mean: float
    std: float | None
    values: str


def parse_args() -> argparse.Namespace:
    """Folder, and what the rows should say of the runs."""
    parser = argparse.ArgumentParser(description="Mean and standard deviation over trials.")
    parser.add_argument("folder", type=Path, help="holds seed_<n>/metrics.json")
    parser.add_argument("--config", default="", help="what was trained, for the rows")
    parser.add_argument("--devices", type=int, default=1, help="how many, for the rows")
    return parser.parse_args()


def read_trials(folder: Path) -> dict[int, dict[str, float]]:
    """Metrics by seed, those that are numbers; COCO's -1 stands for objects of a size that the data does not have.

    Raises:
        ConfigError: There is no trial, or the trials have different metrics.
    """
    trials = {}
    for path in folder.glob("seed_*/metrics.json"):
        metrics: dict[str, Any] = json.loads(path.read_text())
        numbers = {
            name: float(value)
            for name, value in metrics.items()
            if isinstance(value, (int, float)) and math.isfinite(value) and value != -1
        }
        trials[int(path.parent.name.removeprefix("seed_"))] = numbers
    if not trials:
        raise ConfigError(f"{str(folder)!r} holds no seed_<n>/metrics.json: run a trial first")
    names = {frozenset(numbers) for numbers in trials.values()}
    if len(names) > 1:
        raise ConfigError(
            f"the trials in {str(folder)!r} have different metrics: they are not of one config"
        )
    return dict(sorted(trials.items()))


def summarise(trials: dict[int, dict[str, float]]) -> list[Row]:
    """A row for each metric."""
    rows = []
    for name in next(iter(trials.values())):
        values = [numbers[name] for numbers in trials.values()]
        rows.append(
            Row(
                metric=name,
                seeds=" ".join(map(str, trials)),
                n=len(values),
                mean=statistics.fmean(values),
                std=statistics.stdev(values) if len(values) > 1 else None,
                values=" ".join(map(str, values)),
            )
        )
    return rows


def headline(rows: list[Row]) -> str:
    """The line that a person looks for, in percent."""
    shown = [row for row in rows if HEADLINE.search(row.metric)] or rows
    parts = []
    for row in shown:
        spread = "" if row.std is None else f" ± {100 * row.std:.1f}"
        parts.append(f"{row.metric} {100 * row.mean:.1f}{spread}")
    count = f"{rows[0].n} trials" if rows[0].n > 1 else "1 trial"
    return f"{', '.join(parts)} ({count}, seeds {rows[0].seeds})"


def circumstances(config: str, devices: int) -> dict[str, str]:
    """What every row says of the runs."""
    gpu = torch.cuda.is_available() and devices > 0
    return {
        "config": config,
        "device": f"{max(devices, 1)} x {torch.cuda.get_device_name() if gpu else 'CPU'}",
        "torch": torch.__version__,
        "mixssl": __version__,
        "commit": (commit(ROOT) or "")[:7],
    }


def main() -> None:
    """Reads, writes, prints."""
    args = parse_args()
    rows = summarise(read_trials(args.folder))
    notes = {"weights": args.folder.name, **circumstances(args.config, args.devices)}
    records = [{**row._asdict(), **notes} for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    write_whole(text.getvalue().encode(), args.folder / "results.csv")
    write_whole(json.dumps(records, indent=1).encode(), args.folder / "results.json")
    print(f"{args.folder.name}: {headline(rows)}; rows in {args.folder / 'results.csv'}")


if __name__ == "__main__":
    sys.exit(run_tool(main, "trials.py"))
