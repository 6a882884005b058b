"""What tools/compare.py does: trains configs under one budget, judges them alike, puts them side by side."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from rich.console import Console

from mixssl.cli.experiment import (
    Experiment,
    Run,
    Variant,
    longer_baselines,
    make_variants,
    results_of,
    write_report,
)
from mixssl.cli.tool import tools_folder
from mixssl.utils.errors import ConfigError

__all__ = ["compare"]

GAINS = (
    "Top-1 in percent, mean ± sample standard deviation over the seeds. A gain is over {base}, seed by seed, after as "
    "many epochs, in points. Schedules are brought to the number of epochs; below, each row says what that changed. "
    "Probes have one fixed seed."
)
COSTS = {
    None: "Equal compute was not asked for (--equal-compute).",
    "needed": "The cost is that of a training step over that of the same step without the mixture: the passes that its "
    "terms ask for, a forward pass 1 and a backward pass 2.",
    "measured": "The cost is that of a training step over that of the same step without the mixture: the median over "
    "{pairs} pairs of training steps taken in turns on this machine, without the loading of data.",
}
EQUAL = "Equal compute: the baseline trained from scratch for cost × epochs, rounded, with its schedule at that length."


def longer(
    experiment: Experiment, variants: list[Variant], args: argparse.Namespace
) -> tuple[list[Variant], dict[str, float], dict[str, str], list[str]]:
    """Measures the cost of each mixture, and adds the baselines trained for as much compute.

    Returns:
        All variants; name of a variant to its cost, and to its baseline of equal compute; and a line for each cost that
        could not be measured.
    """
    costs, failures = {}, []
    for variant in variants:
        if variant.mixed:
            try:
                figures = experiment.step_cost(variant, args.cost_pairs)
            except ConfigError as error:
                failures.append(str(error))
            else:
                key = "ratio" if args.equal_compute == "measured" else "limit"
                costs[variant.name] = figures[key]
    lengths = {name: max(round(args.epochs * cost), 1) for name, cost in costs.items()}
    variants, bases = longer_baselines(variants, lengths)
    return variants, costs, bases, failures


def run_all(
    experiment: Experiment, variants: Sequence[Variant], seeds: Sequence[int], done: list[Run]
) -> None:
    """Does every run, a seed after the other, says what came of it, and appends it to ``done``."""
    # Initial weights are judged once.
    wanted = [(v, seed) for seed in seeds for v in variants if v.epochs or seed == seeds[0]]
    for number, (variant, seed) in enumerate(wanted, 1):
        here = f"{number}/{len(wanted)} {variant.name}, seed {seed}"
        say(f"{here} ...")
        run = experiment.run(variant, seed)
        done.append(run)
        figures = ", ".join(f"{name} {top1:.2f}" for name, top1 in run.top1.items())
        state = run.failure or f"{figures} ({run.seconds:.0f} s of training)"
        say(f"{here}: {state}{', finished before' if run.reused else ''}")


def say(text: str) -> None:
    """Prints a line as it is."""
    Console().print(text, highlight=False, markup=False, soft_wrap=True)


def compare(args: argparse.Namespace) -> None:
    """Plans, trains, judges, writes.

    Args:
        args: Of the command.

    Raises:
        SystemExit: With the code 1 if something has failed, and 130 if it was stopped.
    """
    if len(set(args.seeds)) < len(args.seeds) or args.cost_pairs < 2:
        raise ConfigError("--seeds must differ from each other, and --cost-pairs be at least 2")
    args.with_baseline |= args.equal_compute is not None
    variants = make_variants(
        args.configs,
        args.epochs,
        names=args.names,
        options=args.cfg_options,
        sweep={k: v if isinstance(v, (list, tuple)) else [v] for k, v in args.sweep.items()},
        with_baseline=args.with_baseline,
        with_untrained=args.with_untrained,
        data_root=args.data_root,
    )
    for variant in variants:
        say(f"{variant.name}: {'; '.join(variant.notes) or 'initial weights'}")
    if args.dry_run:
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends a comparison as Ctrl-C does
    flags = ("deterministic", "device_views", "in_memory")
    train = [f"--{flag.replace('_', '-')}" for flag in flags if getattr(args, flag)]
    train += [f"--amp={args.amp}"] if args.amp else []
    experiment = Experiment(
        tools_folder(), args.out, args.protocols, args.data, args.data_root, train, args.device
    )
    costs: dict[str, float] = {}
    bases: dict[str, str] = {}
    failures: list[str] = []
    if args.equal_compute:
        variants, costs, bases, failures = longer(experiment, variants, args)
    runs: list[Run] = []
    stopped = False
    try:
        run_all(experiment, variants, args.seeds, runs)
    except KeyboardInterrupt:
        stopped = True
    base = "the same config without its mixture" if args.with_baseline else "the first trained row"
    explained = [GAINS.format(base=base), COSTS[args.equal_compute].format(pairs=args.cost_pairs)]
    results = results_of(variants, runs, args.protocols, costs, bases)
    files = write_report(
        args.out,
        args.title or args.out.name,
        results,
        runs,
        args.protocols,
        args.data,
        [*explained, EQUAL] if args.equal_compute else explained,
    )
    say(files["table"].read_text())
    for name, path in files.items():
        say(f"{name:>8}: {path}")
    failures += [f"{run.variant}, seed {run.seed}: {run.failure}" for run in runs if run.failure]
    for line in failures:
        sys.stderr.write(f"compare.py: {line}\n")
    if stopped:
        sys.stderr.write("compare.py: stopped; the same command goes on from here\n")
    if stopped or failures:
        raise SystemExit(130 if stopped else 1)
