#!/usr/bin/env python
"""Pre-trains on scikit-learn's digits with and without Un-Mix, and shows what each run has learned.

It needs no data, no GPU and no network: python tools/demo.py [--epochs N] [--seed S] [--out DIR].
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner, set_random_seed
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor, nn

from mixssl.cli.demo import short_run
from mixssl.cli.provenance import circumstances, command
from mixssl.cli.tool import run_tool
from mixssl.evaluation import accuracy, extract_features, logistic_regression, weighted_knn
from mixssl.utils.errors import ConfigError
from mixssl.visualization import (
    Series,
    draw_mixtures,
    embed,
    mixture_figure,
    points_figure,
    read_run,
    runs_figure,
    save_figure,
)

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = {
    "MoCo v2": ROOT / "configs/demo/mocov2_r18_digits.py",
    "MoCo v2 + Un-Mix": ROOT / "configs/demo/unmix_mocov2_r18_digits.py",
}
UNTRAINED = "untrained"
LOSSES = {"loss_clean": "loss on clean views", "loss_mix": "loss on mixtures"}
LOG_INTERVAL = 10
"""Steps between two points of a loss curve, of which each is the mean over these steps."""
NEIGHBOURS = 10
"""k of k-NN: of the 1,297 images in the bank about 130 show the same digit; 200 could not all be right."""
THREADS = 1
"""Two save a quarter of the time on an idle machine, and wait for each other for minutes on a busy one."""


class Result(NamedTuple):
    """A row of the table, and what is drawn of it."""

    knn: float
    linear: float
    seconds: float
    features: Tensor
    labels: Tensor
    bank: int


class EpochLines(Hook):
    """Prints a line now and then where no live progress bar can be drawn."""

    def __init__(self, name: str, console: Console) -> None:
        self.name, self.console = name, console

    def after_train_epoch(self, runner: Runner) -> None:
        """Prints ten times a run at most."""
        done = runner.epoch + 1
        if done % max(runner.max_epochs // 10, 1) == 0:
            loss = runner.message_hub.get_scalar("train/loss").mean(len(runner.train_dataloader))
            self.console.print(f"  {self.name}: epoch {done}/{runner.max_epochs}, loss {loss:.2f}")


def parse_args() -> argparse.Namespace:
    """Epochs, seed, output."""
    parser = argparse.ArgumentParser(description="Pre-train on digits with and without Un-Mix.")
    parser.add_argument("--epochs", type=int, help="of each run, default as the configs say")
    parser.add_argument("--seed", type=int, default=0, help="of everything random, default 0")
    parser.add_argument(
        "--out", type=Path, default=Path("work_dirs/demo"), help="default work_dirs/demo"
    )
    return parser.parse_args()


def pretrain(cfg: Config, name: str, console: Console) -> tuple[nn.Module, dict[str, Series]]:
    """Trains a config in an empty work directory and returns the model and its losses."""
    shutil.rmtree(cfg.work_dir, ignore_errors=True)
    cfg.default_hooks.logger.interval = LOG_INTERVAL
    runner = Runner.from_cfg(cfg)
    if not sys.stderr.isatty():
        runner.register_hook(EpochLines(name, console))
    runner.train()
    logged = read_run(cfg.work_dir)
    return runner.model, {words: logged[key] for key, words in LOSSES.items() if key in logged}


def untrained(cfg: Config) -> nn.Module:
    """The same architecture at initial weights of the same seed."""
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner.from_cfg(Config({**cfg, "work_dir": folder}))
    runner.model.init_weights()
    return runner.model


def evaluate(model: nn.Module, cfg: Config, start: float) -> Result:
    """k-NN and linear accuracy in percent, the seconds since ``start``, and the test images' features."""
    bank, query = (
        extract_features(model, Runner.build_dataloader(loader))
        for loader in (cfg.knn_bank, cfg.knn_query)
    )
    near = weighted_knn(query.features, bank.features, bank.labels, k=NEIGHBOURS)
    linear = logistic_regression(bank.features, bank.labels, query.features)
    labels = query.labels
    assert labels is not None, "Digits has labels"
    return Result(
        accuracy(near, labels),
        accuracy(linear, labels),
        time.perf_counter() - start,
        query.features,
        labels,
        len(bank.features),
    )


def run(
    args: argparse.Namespace, console: Console
) -> tuple[dict[str, Result], dict[str, Any], list[Config]]:
    """Trains and evaluates; results and losses by name, and the configs as run."""
    configs = [
        short_run(path, args.out / path.stem, args.epochs, args.seed) for path in CONFIGS.values()
    ]
    results, curves = {}, {}
    for name, cfg in zip((UNTRAINED, *CONFIGS), (configs[0], *configs), strict=True):
        console.print(f"[bold]{name}[/bold]")
        start = time.perf_counter()
        if name == UNTRAINED:
            model = untrained(cfg)
        else:
            model, curves[name] = pretrain(cfg, name, console)
        results[name] = evaluate(model, cfg, start)
    return results, curves, configs


def draw(
    results: dict[str, Result],
    curves: dict[str, Any],
    configs: list[Config],
    args: argparse.Namespace,
) -> dict[str, Path]:
    """Draws and saves the three pictures."""
    mixed = configs[-1]
    set_random_seed(args.seed)
    views, mixtures = draw_mixtures(mixed, 8, args.seed)
    norm = mixed.data_preprocessor
    labels = results[UNTRAINED].labels
    points = {
        f"{name}: k-NN {row.knn:.1f} %": embed(row.features, seed=args.seed)
        for name, row in results.items()
    }
    figures = {
        "mixtures": mixture_figure(
            views,
            mixtures,
            norm.mean,
            norm.std,
            title="Un-Mix on handwritten digits: λ of the own image, 1 − λ of its partner",
        ),
        "curves": runs_figure(curves, title="Pre-training on digits"),
        "tsne": points_figure(points, labels, title="t-SNE of the test images"),
    }
    return {name: save_figure(figure, args.out / f"{name}.png") for name, figure in figures.items()}


def table_of(results: dict[str, Result], epochs: int, seed: int) -> Table:
    """The three rows."""
    table = Table(title=f"handwritten digits, {epochs} epochs, seed {seed}")
    table.add_column("backbone")
    for heading in ("k-NN %", "linear %", "seconds"):
        table.add_column(heading, justify="right")
    for name, row in results.items():
        table.add_row(name, f"{row.knn:.1f}", f"{row.linear:.1f}", f"{row.seconds:.0f}")
    return table


def summary_of(results: dict[str, Result], epochs: int, seed: int) -> dict[str, Any]:
    """What is needed to run it again and to compare."""
    any_row = results[UNTRAINED]
    return {
        "command": command(),
        **circumstances(),
        "seed": seed,
        "epochs": epochs,
        "knn": {
            "k": NEIGHBOURS,
            "temperature": 0.1,
            "bank": any_row.bank,
            "queries": len(any_row.labels),
        },
        "results": {
            name: {
                "knn": round(row.knn, 2),
                "linear": round(row.linear, 2),
                "seconds": round(row.seconds, 1),
            }
            for name, row in results.items()
        },
    }


def main() -> None:
    """Trains, evaluates, draws, and prints the table and where everything lies."""
    args = parse_args()
    if args.epochs is not None and args.epochs < 1:
        raise ConfigError(f"--epochs is {args.epochs} and must be at least 1")
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(THREADS)
        threadpool_limits(THREADS)
    console = Console()
    start = time.perf_counter()
    results, curves, configs = run(args, console)
    figures = draw(results, curves, configs, args)
    epochs, row = configs[0].train_cfg.max_epochs, results[UNTRAINED]
    summary = args.out / "summary.json"
    summary.write_text(json.dumps(summary_of(results, epochs, args.seed), indent=2) + "\n")
    console.print(table_of(results, epochs, args.seed))
    console.print(
        f"k-NN: weighted, {NEIGHBOURS} of {row.bank:,} images; linear: logistic regression; both on frozen features of "
        f"{len(row.labels)} test images. Seconds: training and evaluation; "
        f"{time.perf_counter() - start:.0f} with the pictures.",
        highlight=False,
    )
    for name, path in (*figures.items(), ("summary", summary)):
        console.print(f"{name:>9}: {path}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    sys.exit(run_tool(main, "demo.py"))
