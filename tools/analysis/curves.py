#!/usr/bin/env python
"""Draws what runs have logged: python tools/analysis/curves.py WORK_DIR [WORK_DIR ...]."""

import argparse
import sys
from pathlib import Path

from mixssl.cli.analysis import names_of, save_both
from mixssl.cli.prepare import in_one_line
from mixssl.cli.tool import run_tool
from mixssl.visualization import Series, read_run, runs_figure


def parse_args() -> argparse.Namespace:
    """Runs, and what to draw of them."""
    parser = argparse.ArgumentParser(description="Loss and accuracy curves of several runs.")
    parser.add_argument("work_dirs", nargs="+", help="work directories of runs")
    parser.add_argument("--names", nargs="+", help="what to call them; default: folder names")
    parser.add_argument(
        "--keys",
        nargs="+",
        metavar="NAME",
        help="what to draw, for instance loss knn_top1; default all",
    )
    parser.add_argument("--picture", help="default work_dirs/curves.png; the numbers go beside it")
    parser.add_argument("--out", metavar="JSON", help="file for the numbers")
    return parser.parse_args()


def summary(series: Series) -> dict[str, float | int | str]:
    """First, last, lowest and highest value, and where they are."""
    low, high = min(series.values), max(series.values)
    return {
        "unit": series.unit,
        "points": len(series.steps),
        "first": series.values[0],
        "last": series.values[-1],
        "last at": series.steps[-1],
        "lowest": low,
        "lowest at": series.steps[series.values.index(low)],
        "highest": high,
        "highest at": series.steps[series.values.index(high)],
    }


def main() -> None:
    """Reads, sums up, draws."""
    args = parse_args()
    names = names_of([str(Path(folder)) for folder in args.work_dirs], args.names)
    runs = {name: read_run(folder) for name, folder in zip(names, args.work_dirs, strict=True)}
    with in_one_line():
        figure = runs_figure(runs, args.keys)
    numbers = {
        name: {
            key: summary(series)
            for key, series in run.items()
            if args.keys is None or key in args.keys
        }
        for name, run in runs.items()
    }
    for name, found in numbers.items():
        print(f"{name}: " + ", ".join(f"{key} {row['last']:.4g}" for key, row in found.items()))
    print(save_both(figure, numbers, args.picture, Path("work_dirs/curves.png"), args.out))


if __name__ == "__main__":
    sys.exit(run_tool(main, "curves.py"))
