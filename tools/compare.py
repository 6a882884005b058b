#!/usr/bin/env python
"""Trains configs under one budget, judges them alike, and puts them side by side.

python tools/compare.py CONFIG [CONFIG ...] --epochs E [--seeds 0 1 2] [--protocols knn5 linear] [--with-baseline]

The same command goes on where it was stopped. docs/en/user_guides/compare.md has the rest.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from mixssl.cli.experiment import (
    Outcome,
    Report,
    Row,
    Runs,
    Wanted,
    lines_of,
    longer_baselines,
    make_rows,
    measured_cost,
)
from mixssl.engine.cfg_options import OptionsAction
from mixssl.engine.launch import run_tool
from mixssl.evaluation import PROTOCOLS
from mixssl.utils.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
FAILED = 1


def parse_args() -> argparse.Namespace:
    """What to compare, how long, by what, and where."""
    parser = argparse.ArgumentParser(
        description="Train configs under one budget, judge them alike, and put them side by side."
    )
    parser.add_argument("configs", nargs="+", help="training configs")
    parser.add_argument("--epochs", type=int, required=True, help="of each run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="default 0")
    parser.add_argument(
        "--protocols",
        nargs="+",
        choices=list(PROTOCOLS),
        default=["knn5"],
        metavar="NAME",
        help=f"of {', '.join(PROTOCOLS)}; default knn5",
    )
    parser.add_argument("--names", nargs="+", default=[], help="what to call the configs")
    for option, words in (
        ("--cfg-options", "change every config; KEY?=VALUE only those that have the key"),
        ("--sweep", "a row for each value: KEY=v1,v2,... or KEY=[v1,v2]"),
    ):
        parser.add_argument(
            option, nargs="+", action=OptionsAction, default={}, metavar="KEY=VALUE", help=words
        )
    parser.add_argument(
        "--with-baseline",
        action="store_true",
        help="compare each row with the same config without its mixture, not with the first row",
    )
    parser.add_argument(
        "--with-untrained", action="store_true", help="judge initial weights too, of seed 0"
    )
    parser.add_argument(
        "--equal-compute",
        nargs="?",
        const="measured",
        choices=["measured", "needed"],
        help="also train each baseline for as much compute as its mixture has, by the cost of a step as measured "
        "(default) or as its passes need; implies --with-baseline",
    )
    parser.add_argument(
        "--cost-pairs", type=int, default=10, help="steps timed for the cost, default 10"
    )
    parser.add_argument("--data-root", metavar="DIR", help="folder of the images")
    parser.add_argument("--data", metavar="CONFIG", help="judge on the images of this config")
    parser.add_argument(
        "--amp",
        action="store_true",
        help="float16 (on a GPU)",
    )
    parser.add_argument(
        "--deterministic", action="store_true", help="deterministic algorithms only (slower)"
    )
    parser.add_argument("--device", help="to judge on; default: cuda where there is one")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/compare"), metavar="DIR")
    parser.add_argument("--title", help="of the page; default: name of the folder")
    parser.add_argument("--dry-run", action="store_true", help="say what would be run, and end")
    args = parser.parse_args()
    if len(set(args.seeds)) < len(args.seeds) or args.cost_pairs < 2:
        parser.error("--seeds must differ from each other, and --cost-pairs be at least 2")
    return args


def rows_of(args: argparse.Namespace) -> list[Row]:
    """The rows, before anything is trained."""
    sweep = {
        key: values if isinstance(values, (list, tuple)) else [values]
        for key, values in args.sweep.items()
    }
    return make_rows(
        Wanted(
            configs=args.configs,
            epochs=args.epochs,
            names=args.names,
            options=args.cfg_options,
            sweep=sweep,
            with_baseline=args.with_baseline or args.equal_compute is not None,
            with_untrained=args.with_untrained,
            data_root=args.data_root,
        )
    )


def costs_of(
    args: argparse.Namespace, runs: Runs, rows: Sequence[Row]
) -> tuple[dict[str, float], list[str]]:
    """The cost of each row with a mixture, if asked for, and a line for each that could not be had."""
    costs, unknown = {}, []
    for row in rows:
        if row.mixed and args.equal_compute:
            try:
                figures = measured_cost(runs, row, args.cost_pairs)
            except ConfigError as error:
                unknown.append(str(error))
            else:
                costs[row.name] = figures["ratio" if args.equal_compute == "measured" else "limit"]
    return costs, unknown


def with_longer(
    rows: list[Row], costs: dict[str, float], epochs: int
) -> tuple[list[Row], dict[str, str]]:
    """Adds the baselines of equal compute right after those they belong to."""
    wanted = {name: max(round(epochs * cost), 1) for name, cost in costs.items()}
    extra, of = longer_baselines(rows, wanted)
    if not extra:
        return rows, of
    found = []
    for row in rows:
        found.append(row)
        found += [more for more in extra if more.planned is row.planned and not row.mixed]
    return found, of


def carry_out(
    runs: Runs, rows: Sequence[Row], seeds: Sequence[int], outcomes: list[Outcome], console: Console
) -> None:
    """Does every run, a seed after the other, and appends what came of it to ``outcomes``."""
    wanted = [(row, seed) for seed in seeds for row in rows if row.epochs or seed == seeds[0]]
    for number, (row, seed) in enumerate(wanted, 1):
        here = f"{number}/{len(wanted)} {row.name}, seed {seed}"
        console.print(f"{here} ...", highlight=False)
        outcome = runs.carry_out(row, seed)
        outcomes.append(outcome)
        figures = ", ".join(f"{name} {top1:.2f}" for name, top1 in outcome.top1.items())
        state = outcome.failure or f"{figures} ({outcome.seconds:.0f} s of training)"
        note = ", finished before" if outcome.reused else ""
        console.print(f"{here}: {state}{note}", highlight=False, soft_wrap=True)


def cost_in_words(args: argparse.Namespace) -> str | None:
    """How the cost of a step was had; None if it was not asked for."""
    if args.equal_compute is None:
        return None
    if args.equal_compute == "needed":
        return "the passes that its terms ask for, a forward pass 1 and a backward pass 2"
    return (
        f"the median over {args.cost_pairs} pairs of training steps taken in turns on this machine, without the "
        "loading of data"
    )


def stop(*_: Any) -> NoReturn:
    """SIGTERM ends a comparison as Ctrl-C does."""
    raise KeyboardInterrupt


def main() -> None:
    """Plans, trains, judges, writes."""
    args = parse_args()
    console = Console()
    rows = rows_of(args)
    signal.signal(signal.SIGTERM, stop)
    train = [flag for flag in ("--amp", "--deterministic") if getattr(args, flag[2:])]
    runs = Runs(ROOT, args.out, args.protocols, args.data, args.data_root, train, args.device)
    for row in rows:
        notes = "; ".join(row.notes) or "initial weights"
        console.print(f"{row.name}: {notes}", highlight=False, soft_wrap=True)
    if args.dry_run:
        return
    args.out.mkdir(parents=True, exist_ok=True)
    costs, unknown = costs_of(args, runs, rows)
    rows, longer = with_longer(rows, costs, args.epochs)
    outcomes: list[Outcome] = []
    stopped = False
    try:
        carry_out(runs, rows, args.seeds, outcomes, console)
    except KeyboardInterrupt:
        stopped = True
    lines = lines_of(rows, outcomes, args.protocols, costs, longer)
    report = Report(
        folder=args.out,
        root=ROOT,
        title=args.title or args.out.name,
        command=f"python {shlex.join(sys.argv)}",
        protocols=args.protocols,
        seeds=args.seeds,
        epochs=args.epochs,
        data=args.data,
        with_baseline=args.with_baseline or args.equal_compute is not None,
        cost=cost_in_words(args),
    )
    files = report.write(lines, outcomes)
    console.print((args.out / "table.md").read_text(), highlight=False, soft_wrap=True)
    for name, path in files.items():
        console.print(f"{name:>8}: {path}", highlight=False, soft_wrap=True)
    finish(unknown, outcomes, stopped)


def finish(unknown: Sequence[str], outcomes: Sequence[Outcome], stopped: bool) -> None:
    """Ends with the exit code 1 if a run has failed or a cost is unknown, 130 if not all were reached."""
    failed = [*unknown]
    for outcome in outcomes:
        if outcome.failure:
            failed.append(f"{outcome.row}, seed {outcome.seed}: {outcome.failure}")
    for line in failed:
        sys.stderr.write(f"compare.py: {line}\n")
    if stopped:
        sys.stderr.write("compare.py: stopped; the same command goes on from here\n")
        raise SystemExit(130)
    if failed:
        raise SystemExit(FAILED)


if __name__ == "__main__":
    sys.exit(run_tool(main, "compare.py"))
