"""How fast a config trains here: images per second, waiting for data, time by phase, and peak memory.

First steps as training takes them, from the config's own loader, with nothing in between: from these come images per
second, and the share of the time in which the loader was waited for. Then steps with a stop watch around each phase.
Then, with a mixture, the most memory that a step needs, against the same config without the mixture. Last, with --peak,
what share of the machine's bfloat16 rate the steps reach: operations of convolutions and matrix products, forward and
back, over the rate of a large matrix product of random numbers.

    python tools/benchmarks/throughput.py configs/unmix/moco_r18_cifar10.py --device-views
    python tools/benchmarks/throughput.py configs/unmix/moco_r18_cifar10.py --synthetic --batch-size 64 --steps 5

With --synthetic random images take the place of the loader's, where there are no data: nothing is waited for. --csv
gathers the figures of several calls, a row for each.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import time
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from mixssl.cli.arguments import add_speed_arguments
from mixssl.cli.benchmark import (
    TrainStep,
    circumstances,
    get_ready,
    image_size,
    peak_bytes,
    random_views,
    view_sizes,
)
from mixssl.cli.launch import set_data_root
from mixssl.cli.phases import Phases
from mixssl.cli.provenance import command, commit
from mixssl.cli.run_defaults import fill_loaders
from mixssl.cli.speed import write_speed
from mixssl.cli.without_mixture import without_mixture
from mixssl.engine.atomic_writes import write_csv
from mixssl.models.encoder_options import eager
from mixssl.utils.cfg_options import add_cfg_options, merge_options

COLUMNS = (
    "row",
    "device",
    "images_per_second",
    "step_ms",
    "waiting_for_data",
    "step_tflop",
    "peak_tflop_s",
    "share_of_peak",
    "peak_mb",
    "peak_mb_without",
    "batch_size",
    "steps",
    "synthetic",
    "threads",
    "torch",
    "mixssl",
    "commit",
    "command",
)
"""Of --csv; memory and shares are empty where they were not asked for."""


def batches(cfg: Config, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Batches without end: the loader's, epoch after epoch, or one and the same of random images."""
    if args.synthetic:
        size = args.size or image_size(cfg)
        yield from repeat(random_views(cfg.train_dataloader.batch_size, view_sizes(cfg, size)))
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    yield from chain.from_iterable(repeat(loader))


def run(step: TrainStep, data: Iterator[dict[str, Any]], steps: int) -> tuple[float, float, int]:
    """Takes steps one after another.

    Returns:
        Seconds, seconds of them in which the host waited for data, and images.
    """
    waited, images = 0.0, 0
    step.wait()
    start = time.perf_counter()
    for _ in range(steps):
        before = time.perf_counter()
        batch = next(data)
        waited += time.perf_counter() - before
        images += _count(batch)
        step.take(batch)
    step.wait()
    return time.perf_counter() - start, waited, images


def by_phase(step: TrainStep, data: Iterator[dict[str, Any]], steps: int) -> dict[str, float]:
    """Median seconds of each phase; watches the step from then on."""
    phases, found = Phases(step), []
    for _ in range(steps):
        phases.start()
        with phases.phase("data"):
            batch = next(data)
        step.take(batch)
        found.append(phases.seconds())
    names = [name for name in Phases.ORDER if any(name in row for row in found)]
    return {name: statistics.median(row.get(name, 0.0) for row in found) for name in names}


def memory(
    cfg: Config, step: TrainStep, batch: dict[str, Any], synthetic: bool
) -> dict[str, float]:
    """Peak memory in MB of a step that has been warmed up, and without the mixture if there is one."""
    found = {"peak_mb": peak_bytes(step, batch) / 1e6}
    if getattr(step.model, "mixer", None) is not None:
        plain = TrainStep(without_mixture(cfg), step.device, synthetic)
        plain.take(batch)
        found["peak_mb_without"] = peak_bytes(plain, batch) / 1e6
        found["ratio"] = found["peak_mb"] / found["peak_mb_without"]
    return found


def operations(step: TrainStep, batch: dict[str, Any]) -> int:
    """Floating point operations of a step's convolutions and matrix products; a multiplication and its sum are two."""
    with eager(*step.model.modules()), FlopCounterMode(display=False) as counter:
        step.take(batch)
    return counter.get_total_flops()


def matrix_rate(step: TrainStep) -> float:
    """Floating point operations a second of a bfloat16 product of random matrices, the median of ten."""
    side = 8192 if step.device.type == "cuda" else 512
    a, b = torch.randn(2, side, side, device=step.device, dtype=torch.bfloat16)
    found = []
    for _ in range(13):
        step.wait()
        start = time.perf_counter()
        a @ b
        step.wait()
        found.append(time.perf_counter() - start)
    return 2 * side**3 / statistics.median(found[3:])  # the first ones choose a kernel


def _count(batch: dict[str, Any]) -> int:
    """Images of a batch, whatever the number of their views."""
    inputs = batch["inputs"]
    return len(inputs[0] if isinstance(inputs, (list, tuple)) else inputs)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="a config to pre-train with")
    parser.add_argument("--steps", type=int, default=20, help="steps of each kind (default 20)")
    parser.add_argument("--warmup", type=int, default=5, help="steps before (default 5)")
    parser.add_argument("--batch-size", type=int, help="images per step; the config's unless given")
    parser.add_argument("--synthetic", action="store_true", help="random images, no loader")
    parser.add_argument(
        "--size", type=int, help="side of synthetic images; the config's crop unless given"
    )
    parser.add_argument("--data-root", metavar="DIR", help="folder of the images")
    parser.add_argument("--no-memory", action="store_true", help="leave memory out")
    parser.add_argument("--peak", action="store_true", help="also the share of the bfloat16 rate")
    add_speed_arguments(parser)
    parser.add_argument("--threads", type=int, help="CPU threads; torch's default unless given")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--csv", type=Path, help="also add a row to this file")
    parser.add_argument("--row", default="", help="what --csv calls it; the config unless given")
    add_cfg_options(parser)
    args = parser.parse_args()
    if args.steps < 1 or args.warmup < 1:
        parser.error(
            f"--steps is {args.steps} and --warmup is {args.warmup}: both must be >= 1, since a first "
            "step is not like others"
        )
    if args.synthetic and (args.device_views or args.in_memory):
        parser.error("--synthetic reads no images: leave --device-views and --in-memory out")
    return args


def _load(args: argparse.Namespace) -> Config:
    """The config, with what the arguments say."""
    cfg = Config.fromfile(args.config)
    if args.data_root is not None:
        set_data_root(cfg, args.data_root)
    merge_options(cfg, args.cfg_options)
    if args.batch_size:
        cfg.train_dataloader.batch_size = args.batch_size
    fill_loaders(cfg, pin_memory=args.device.startswith("cuda"), persistent_workers=True)
    write_speed(cfg, args)
    return cfg


def main() -> None:
    """Measures a config and prints a table."""
    args = _parse()
    get_ready(args.threads)
    cfg = _load(args)
    device = torch.device(args.device)
    step, data = TrainStep(cfg, device, args.synthetic), batches(cfg, args)

    run(step, data, args.warmup)
    seconds, waited, images = run(step, data, args.steps)
    figures: dict[str, Any] = {
        "config": args.config,
        "images_per_second": round(images / seconds, 1),
        "step_ms": round(1e3 * seconds / args.steps, 2),
        "waiting_for_data": round(waited / seconds, 4),
        "synthetic": args.synthetic,
        "batch_size": images // args.steps,
        "steps": args.steps,
        "options": {
            **{flag: getattr(args, flag) for flag in ("amp", "device_views", "in_memory")},
            **(args.cfg_options or {}),
        },
    }
    if not args.no_memory:
        found = memory(cfg, step, next(data), args.synthetic)
        figures["memory"] = {name: round(value, 3) for name, value in found.items()}
    if args.peak:
        work, rate = operations(step, next(data)), matrix_rate(step)
        figures["peak"] = {
            "step_tflop": work / 1e12,
            "peak_tflop_s": rate / 1e12,
            "share_of_peak": work * args.steps / seconds / rate,
        }
    taken = by_phase(step, data, args.steps)
    figures["phases_ms"] = {name: round(1e3 * value, 3) for name, value in taken.items()}
    figures |= circumstances(device)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(figures, indent=2, default=str) + "\n")
    if args.csv:
        _add_row(args.csv, {"row": args.row or args.config, **figures})
    _show(figures)


def _add_row(path: Path, figures: dict[str, Any]) -> None:
    found = {**figures, **figures.get("memory", {}), **figures.get("peak", {})}
    found |= {"commit": commit(), "command": command()}
    rows = []
    if path.is_file():
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    write_csv([*rows, {column: found.get(column, "") for column in COLUMNS}], COLUMNS, path)


def _show(figures: dict[str, Any]) -> None:
    console = Console()
    table = Table(title=f"{figures['config']}, batches of {figures['batch_size']}")
    table.add_column("phase")
    table.add_column("ms", justify="right")
    table.add_column("share", justify="right")
    whole = sum(figures["phases_ms"].values())
    for name, value in figures["phases_ms"].items():
        table.add_row(name, f"{value:.1f}", f"{value / whole:.1%}")
    console.print(table)
    console.print(
        f"{figures['images_per_second']:,.0f} images/s, {figures['step_ms']:.1f} ms a step, "
        f"{figures['waiting_for_data']:.1%} of it waiting for data"
    )
    found = figures.get("memory", {})
    if found:
        against = (
            f", {found['ratio']:.2f} times that without the mixture" if "ratio" in found else ""
        )
        console.print(f"peak memory {found['peak_mb']:,.0f} MB{against}")


if __name__ == "__main__":
    main()
