"""What tools/compare.py does: trains configs under one budget, judges them alike, puts them side by side."""

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
from mixssl.utils.errors import ConfigError

__all__ = ["compare"]

FAILED = 1


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


def compare(args: argparse.Namespace, root: Path) -> None:
    """Plans, trains, judges, writes.

    Args:
        args: Of tools/compare.py.
        root: Folder above tools/.
    """
    console = Console()
    rows = rows_of(args)
    signal.signal(signal.SIGTERM, stop)
    train = [flag for flag in ("--amp", "--deterministic") if getattr(args, flag[2:])]
    runs = Runs(root, args.out, args.protocols, args.data, args.data_root, train, args.device)
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
        root=root,
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
