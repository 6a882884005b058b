"""What a mixture costs: a config's training step against the same config without its mixture.

Both models live in one process and take steps in turns, so that whatever else the machine does hits both. Images are
random: no data set is needed and no loading is measured. The limit is computed from what the step's terms name: an
online embedding costs a forward and a backward pass (3 units an image), a target a forward pass (1 unit). A mixture
that teaches a Mix Block goes through a frozen encoder, forward and back to its pixels (2 units), and the maps that its
mask is made from cost a forward pass, where no target is made of the view anyway.

    python tools/benchmarks/step_cost.py configs/unmix/moco_r18_cifar10.py --batch-size 64

With --against, one config against another, for what changes the step and is no mixer. With --against-mmpretrain, the
config without its mixture against mmpretrain's method of the same settings, whose limit is 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from rich.console import Console
from rich.table import Table

from mixssl.cli.arguments import add_amp
from mixssl.cli.benchmark import (
    TrainStep,
    as_mmpretrain,
    circumstances,
    get_ready,
    image_size,
    random_views,
    view_sizes,
)
from mixssl.cli.speed import use_amp
from mixssl.cli.without_mixture import mixture_switch, without_mixture
from mixssl.structures import BLOCK, AnyTerm, MixedView
from mixssl.utils.cfg_options import add_cfg_options, merge_options

FORWARD, BACKWARD = 1, 2


def units(step: TrainStep, images: dict[str, Any]) -> float:
    """Forward and backward passes that a step's terms ask for, in forwards of view 0."""
    model, data = step.model, step.model.data_preprocessor(images, True)
    inputs = data["inputs"]
    plan = model.plan(inputs, data.get("mixtures", []), images["data_samples"])
    pixels = {v.number: v.images[:, 0].numel() for v in plan.views}
    for number, mixture in enumerate(plan.mixtures, len(inputs)):
        pixels.setdefault(number, pixels[mixture.source])
    terms = [*plan.terms, *plan.block_terms]
    return needed_units(terms, pixels, model.targets_are_online, plan.mixtures) / pixels[0]


def needed_units(
    terms: Sequence[AnyTerm],
    sizes: dict[int, int],
    targets_are_online: bool,
    mixtures: Sequence[MixedView] = (),
) -> int:
    """Passes that a step can't do without, in units of ``sizes``; the layers behind a Mix Block's maps are counted too.

    Args:
        terms: Of the step.
        sizes: What a forward pass of each view costs: its pixels, say.
        targets_are_online: Whether a target comes from the online encoder, with its gradient.
        mixtures: Numbered to the end of ``sizes``; only learned ones make a difference.
    """
    clean = len(sizes) - len(mixtures)
    judged = {n for n, mixture in enumerate(mixtures, clean) if mixture.learned == BLOCK}
    online = {term.online.view for term in terms} - judged
    targets = {target.view for term in terms for target in term.targets}
    if targets_are_online:
        online, targets = online | targets, set()
    trained = sum(sizes[view] for view in online) * (FORWARD + BACKWARD)
    mapped = {mixture.source for mixture in mixtures if mixture.learned}
    passed = sum(sizes[view] for view in targets | mapped) * FORWARD
    return trained + passed + sum(sizes[view] for view in judged) * (FORWARD + BACKWARD // 2)


def measure(
    steps: tuple[TrainStep, TrainStep], images: Sequence[dict[str, Any]], pairs: int, warmup: int
) -> tuple[list[float], list[float]]:
    """Times both in turns, each with its images, swapping who goes first, and returns the seconds of each."""
    for which in (0, 1) * warmup:
        steps[which].seconds(images[which])
    taken: tuple[list[float], list[float]] = ([], [])
    for pair in range(pairs):
        for which in (0, 1) if pair % 2 else (1, 0):
            taken[which].append(steps[which].seconds(images[which]))
    return taken


def report(name: str, ours: list[float], base: list[float], needed: tuple[float, float]) -> dict:
    """Figures of a measurement, as data."""
    ratios = [a / b for a, b in zip(ours, base, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return {
        "config": name,
        "ratio": round(middle, 4),
        "quartiles": [round(low, 4), round(high, 4)],
        "ratio_of_medians": round(statistics.median(ours) / statistics.median(base), 4),
        "limit": round(needed[0] / needed[1], 4),
        "units": [round(unit, 4) for unit in needed],
        "step_ms": round(1e3 * statistics.median(ours), 1),
        "step_ms_without": round(1e3 * statistics.median(base), 1),
        "pairs": len(ratios),
    }


def compare(name: str, first: Config, second: Config, args: argparse.Namespace) -> dict:
    """Measures one config against another; units of mmpretrain's methods are those of ours."""
    device = torch.device(args.device)
    batch = args.batch_size or first.train_dataloader.batch_size
    size = args.size or image_size(first)
    images = [random_views(batch, view_sizes(cfg, size)) for cfg in (first, second)]
    if args.amp:
        use_amp(first, args.amp)
        use_amp(second, args.amp)
    steps = TrainStep(first, device), TrainStep(second, device)
    needed = [
        units(step, own)
        for step, own in zip(steps, images, strict=True)
        if hasattr(step.model, "clean_terms")
    ]
    ours, base = measure(steps, images, args.pairs, args.warmup)
    return (
        report(name, ours, base, (needed[0], needed[-1]))
        | {"batch_size": batch, "size": size}
        | circumstances(device)
    )


def parse_args(description: str | None = __doc__) -> argparse.Namespace:
    """What to measure, and how often."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="a config with a mixture")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--against", metavar="CONFIG", help="the config, and this one")
    other.add_argument(
        "--against-mmpretrain",
        action="store_true",
        help="the config without mixture, and mmpretrain's",
    )
    parser.add_argument("--batch-size", type=int, help="images per step; the config's unless given")
    parser.add_argument(
        "--size", type=int, help="side of the images in pixels; the config's crop unless given"
    )
    parser.add_argument(
        "--pairs", type=int, default=10, help="steps of each, in turns (default 10)"
    )
    parser.add_argument("--warmup", type=int, default=2, help="steps of each before (default 2)")
    parser.add_argument("--threads", type=int, help="CPU threads; torch's default unless given")
    add_amp(parser)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    add_cfg_options(parser)
    args = parser.parse_args()
    if args.pairs < 2:
        parser.error(f"--pairs is {args.pairs} and must be >= 2: a spread needs two ratios")
    return args


def main() -> None:
    """Measures a config and prints a table."""
    args = parse_args()
    get_ready(args.threads)
    cfg = Config.fromfile(args.config)
    merge_options(cfg, args.cfg_options)

    if args.against_mmpretrain:
        figures = compare(args.config, *as_mmpretrain(cfg), args)
        _show(figures, "mixssl", "mmpretrain")
    elif args.against:
        against = Config.fromfile(args.against)
        merge_options(against, args.cfg_options)
        figures = compare(args.config, cfg, against, args)
        _show(figures, "config", f"against {Path(args.against).stem}")
    else:
        if not (mixture_switch(cfg) or "").endswith("data_preprocessor.mixer"):
            raise SystemExit(
                f"{args.config} has no mixer, so there is nothing to compare: choose a config with one, "
                "or name another with --against"
            )
        figures = compare(args.config, cfg, without_mixture(cfg), args)
        _show(figures, "with mixture", "without")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


def _show(figures: dict, first: str, second: str) -> None:
    table = Table(
        title=f"{figures['config']}, {figures['batch_size']} images of {figures['size']} pixels"
    )
    for column in ("", first, second, "ratio", "middle half of the ratios"):
        table.add_column(column, justify="left" if not column else "right")
    ms, plain_ms = figures["step_ms"], figures["step_ms_without"]
    low, high = figures["quartiles"]
    table.add_row(
        f"step, ms (median of {figures['pairs']})",
        f"{ms:.0f}",
        f"{plain_ms:.0f}",
        f"{figures['ratio']:.3f}",
        f"{low:.3f} to {high:.3f}",
    )
    ours, base = figures["units"]
    table.add_row("passes needed, units", f"{ours:g}", f"{base:g}", f"{figures['limit']:.3f}", "")
    Console().print(table)


if __name__ == "__main__":
    main()
