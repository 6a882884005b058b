#!/usr/bin/env python
"""Sums up the trials of a transfer: python tools/benchmarks/trials.py DIR, which holds seed_<n>/metrics.json.

Prints mean and sample standard deviation over the seeds, and writes every metric to DIR/results.json and results.csv.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import torch

from mixssl import __version__
from mixssl.cli.provenance import commit
from mixssl.cli.scores import Score
from mixssl.cli.tool import run_tool
from mixssl.engine.atomic_writes import write_csv, write_json
from mixssl.utils.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
HEADLINE = re.compile(r"(?:^|/)(?:(?:bbox_|segm_)?mAP(?:_50|_75)?|AP50|AP75)$")
"""Metrics of the printed line: AP, AP50 and AP75 as VOC's and COCO's metrics call them."""


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


def scores_of(trials: dict[int, dict[str, float]]) -> dict[str, Score]:
    """Each metric over the trials, as the metric gives it."""
    metrics = next(iter(trials.values()))
    return {
        name: Score({seed: numbers[name] for seed, numbers in trials.items()}) for name in metrics
    }


def headline(scores: dict[str, Score]) -> str:
    """The line that a person looks for, in percent."""
    shown = [name for name in scores if HEADLINE.search(name)] or list(scores)
    seeds = list(scores[shown[0]].by_seed)
    percent = {
        name: Score({seed: 100 * scores[name].by_seed[seed] for seed in seeds}) for name in shown
    }
    parts = ", ".join(f"{name} {score.text(1)}" for name, score in percent.items())
    count = f"{len(seeds)} trials" if len(seeds) > 1 else "1 trial"
    return f"{parts} ({count}, seeds {' '.join(map(str, seeds))})"


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
    scores = scores_of(read_trials(args.folder))
    notes = {"weights": args.folder.name, **circumstances(args.config, args.devices)}
    records = [
        {
            "metric": name,
            "seeds": " ".join(map(str, score.by_seed)),
            "n": len(score.by_seed),
            "mean": score.mean,
            "std": score.std,
            "values": " ".join(map(str, score.by_seed.values())),
            **notes,
        }
        for name, score in scores.items()
    ]
    path = write_csv(records, list(records[0]), args.folder / "results.csv")
    write_json(records, args.folder / "results.json")
    print(f"{args.folder.name}: {headline(scores)}; rows in {path}")


if __name__ == "__main__":
    sys.exit(run_tool(main, "trials.py"))
