#!/usr/bin/env python
"""Pre-trains on scikit-learn's digits with and without Un-Mix, and shows what each run has learned.

It needs no data, no GPU and no network: python tools/demo.py [--epochs N] [--seed S] [--out DIR].
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.runner import Runner, set_random_seed
from rich.console import Console
from torch import Tensor, nn

from mixssl.cli.demo import report, short_run, train, use_one_thread
from mixssl.cli.tool import run_tool
from mixssl.evaluation import accuracy, extract_features, logistic_regression, weighted_knn
from mixssl.utils.errors import require_at_least
from mixssl.visualization import (
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


class Result(NamedTuple):
    """A row of the table, and what is drawn of it."""

    knn: float
    linear: float
    seconds: float
    features: Tensor
    labels: Tensor
    bank: int


def parse_args() -> argparse.Namespace:
    """Epochs, seed, output."""
    parser = argparse.ArgumentParser(description="Pre-train on digits with and without Un-Mix.")
    parser.add_argument("--epochs", type=int, help="of each run, default as the configs say")
    parser.add_argument("--seed", type=int, default=0, help="of everything random, default 0")
    parser.add_argument(
        "--out", type=Path, default=Path("work_dirs/demo"), help="default work_dirs/demo"
    )
    args = parser.parse_args()
    require_at_least(1, "--", epochs=args.epochs)
    return args


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
            cfg.default_hooks.logger.interval = LOG_INTERVAL
            model, logged = train(cfg, console).model, read_run(cfg.work_dir)
            curves[name] = {words: logged[key] for key, words in LOSSES.items() if key in logged}
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


def main() -> None:
    """Trains, evaluates, draws, and prints the table and where everything lies."""
    args = parse_args()
    use_one_thread()
    console = Console()
    start = time.perf_counter()
    results, curves, configs = run(args, console)
    figures = draw(results, curves, configs, args)
    epochs, row = configs[0].train_cfg.max_epochs, results[UNTRAINED]
    queries = len(row.labels)
    report(
        console,
        f"handwritten digits, {epochs} epochs, seed {args.seed}",
        {
            name: {
                "k-NN %": f"{row.knn:.1f}",
                "linear %": f"{row.linear:.1f}",
                "seconds": f"{row.seconds:.0f}",
            }
            for name, row in results.items()
        },
        f"k-NN: weighted, {NEIGHBOURS} of {row.bank:,} images; linear: logistic regression; both on frozen features of "
        f"{queries} test images. Seconds: training and evaluation; "
        f"{time.perf_counter() - start:.0f} with the pictures.",
        figures,
        args.out,
        seed=args.seed,
        epochs=epochs,
        knn={"k": NEIGHBOURS, "temperature": 0.1, "bank": row.bank, "queries": queries},
        results={
            name: {
                "knn": round(row.knn, 2),
                "linear": round(row.linear, 2),
                "seconds": round(row.seconds, 1),
            }
            for name, row in results.items()
        },
    )


if __name__ == "__main__":
    sys.exit(run_tool(main, "demo.py"))
