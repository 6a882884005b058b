#!/usr/bin/env python
"""Judges a pre-trained model by a linear classifier: python tools/evaluate/linear.py CONFIG CHECKPOINT."""

from __future__ import annotations

import argparse
import inspect
import sys
import time
from typing import Any

from mixssl.engine.evaluation import add_model_arguments, in_one_line, prepare, save_result
from mixssl.engine.launch import run_tool
from mixssl.evaluation import (
    FeatureSet,
    accuracy,
    choose_lr,
    fit_linear_probe,
    logistic_regression,
    top_k_accuracy,
)
from mixssl.evaluation.protocols import require_labels
from mixssl.utils.errors import ConfigError


def parse_args() -> argparse.Namespace:
    """Model and data, and the settings of the classifier."""
    parser = argparse.ArgumentParser(
        description="Accuracy of a linear classifier trained on features that are extracted once, without augmentation."
    )
    add_model_arguments(parser)
    # What is not given is the config's `linear_probe`, and what that does not say the papers'.
    parser.add_argument("--epochs", type=int, help="default 500")
    parser.add_argument("--lr", type=float, help="first learning rate, default 1e-2")
    parser.add_argument("--lr-end", type=float, help="last one; default: the first / 1e4")
    parser.add_argument("--weight-decay", type=float, help="default 5e-6")
    parser.add_argument("--batch-size", type=int, help="images per step, default 1000")
    parser.add_argument(
        "--sweep",
        type=float,
        nargs="+",
        metavar="LR",
        help="try these learning rates on a tenth of the training images first, and take the best",
    )
    parser.add_argument(
        "--standardize",
        action="store_const",
        const=True,
        help="scale features to mean 0 and spread 1",
    )
    parser.add_argument(
        "--logistic",
        action="store_true",
        help="scikit-learn's logistic regression on standardised features instead (small sets)",
    )
    parser.add_argument("--seed", type=int, help="order of the batches, default 0")
    return parser.parse_args()


def settings_of(args: argparse.Namespace, of_config: dict[str, Any]) -> dict[str, Any]:
    """All settings of the probe: the papers', those of the images' config, those of the command line."""
    names = [*inspect.signature(fit_linear_probe).parameters.values()][2:]
    papers = {parameter.name: parameter.default for parameter in names}
    given = {name: getattr(args, name) for name in papers if getattr(args, name) is not None}
    settings = papers | of_config | given
    if "lr_end" not in of_config | given:
        settings["lr_end"] = settings["lr"] / 1e4
    return settings


def train_and_test(
    args: argparse.Namespace,
    bank: FeatureSet,
    queries: FeatureSet,
    device: Any,
    settings: dict[str, Any],
) -> dict[str, Any]:
    """Fits the classifier, after a sweep if there is one, and returns the figures."""
    labels = require_labels(queries)
    if args.logistic:
        classes = logistic_regression(*bank, queries.features)
        return {"protocol": "logistic regression", "top1": accuracy(classes, labels)}
    features, tried = bank.features.to(device), None
    if args.sweep:
        rest = {name: value for name, value in settings.items() if name not in ("lr", "lr_end")}
        lr, tried = choose_lr(features, bank.labels, args.sweep, **rest)
        for value, percent in tried.items():
            print(f"lr {value:g}: {percent:.2f} % of the images held out")
        settings["lr"] = lr
        settings["lr_end"] = lr / 1e4 if args.lr_end is None else args.lr_end
    probe = fit_linear_probe(features, bank.labels, **settings)
    scores = probe.scores(queries.features)
    return {
        "protocol": "linear probe on cached features, Adam, {epochs} epochs of batches of {batch_size}, "
        "lr {lr:g} to {lr_end:g}".format(**settings),
        "top1": top_k_accuracy(scores, labels),
        "top5": top_k_accuracy(scores, labels, 5) if scores.shape[1] > 5 else None,
        "sweep": tried,
        **settings,
    }


def main() -> None:
    """Extracts, trains, and says what came out."""
    args = parse_args()
    if args.logistic and args.sweep:
        raise ConfigError("--logistic has no learning rate to --sweep: leave one of the two out")
    run = prepare(args)
    print(*run.notes, sep="\n")
    start = time.perf_counter()
    with in_one_line():
        bank, queries = run.features("backbone", args.tokens, half=False)
        extracted = time.perf_counter() - start
        found = train_and_test(args, bank, queries, run.device, settings_of(args, run.linear_probe))
    seconds = time.perf_counter() - start
    result = {
        **found,
        "bank": len(bank.features),
        "queries": len(queries.features),
        "dimensions": bank.features.shape[1],
        "config": args.config,
        "checkpoint": args.checkpoint,
        "data": args.data or args.config,
        "seconds": round(seconds, 2),
        "seconds_extracting": round(extracted, 2),
    }
    top5 = f", {result['top5']:.2f} % among the first 5" if result.get("top5") else ""
    print(
        f"{result['protocol']}: {result['top1']:.2f} % of {result['queries']} images right{top5}, "
        f"in {seconds:.1f} s ({extracted:.1f} s of them for the features)"
    )
    print(save_result(result, args, "logistic" if args.logistic else "linear"))


if __name__ == "__main__":
    sys.exit(run_tool(main, "linear.py"))
