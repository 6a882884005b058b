"""What tools/evaluate do: extract features, judge them, say and write what came out."""

from __future__ import annotations

import argparse
import inspect
import time
from typing import Any

from mixssl.cli.arguments import USUAL_K
from mixssl.cli.prepare import in_one_line, prepare, save_result
from mixssl.evaluation import (
    PROTOCOLS,
    FeatureSet,
    accuracy,
    choose_lr,
    evaluate,
    fit_linear_probe,
    logistic_regression,
    majority_knn,
    top_k_accuracy,
    weighted_knn,
)
from mixssl.evaluation.protocols import require_labels
from mixssl.utils.errors import ConfigError
from mixssl.utils.progress import progress_shown

__all__ = ["knn", "linear", "protocols"]


def knn(args: argparse.Namespace) -> None:
    """Extracts, votes, and says what came out."""
    k = USUAL_K[args.vote] if args.k is None else args.k
    run = prepare(args, args.feature)
    images = len(run.bank.dataset)  # type: ignore[arg-type]
    if not 1 <= k <= images:
        raise ConfigError(
            f"k is {k} and the bank has {images} images: choose --k from 1 to {images}"
        )
    print(*run.notes, sep="\n")
    start = time.perf_counter()
    with in_one_line(), progress_shown():
        bank, queries = run.features(args.feature, args.tokens, args.half)
        labels = require_labels(queries)
        chunks = {"query_chunk": args.query_chunk, "bank_chunk": args.bank_chunk}
        if args.vote == "weighted":
            classes = weighted_knn(
                queries.features, *bank, k, args.temperature, **chunks, device=run.device
            )
        else:
            classes = majority_knn(queries.features, *bank, k, **chunks, device=run.device)
    top1, seconds = accuracy(classes, labels), time.perf_counter() - start
    weighted = args.vote == "weighted"
    result = {
        "protocol": f"weighted {k}-NN, τ {args.temperature:g}"
        if weighted
        else f"{k}-NN, Euclidean",
        "feature": args.feature,
        "top1": top1,
        "k": k,
        "temperature": args.temperature if weighted else None,
        "bank": images,
        "queries": len(labels),
        "dimensions": bank.features.shape[1],
        "half": args.half,
        "config": args.config,
        "checkpoint": args.checkpoint,
        "data": args.data or args.config,
        "seconds": round(seconds, 2),
    }
    print(
        f"{result['protocol']}, {args.feature} ({result['dimensions']} numbers): {top1:.2f} % of {len(labels)} images "
        f"right, among {images}, in {seconds:.1f} s"
    )
    vote = f"weighted_{args.temperature:g}" if weighted else args.vote
    print(save_result(result, args, f"knn_{vote}_{k}_{args.feature}"))


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


def linear(args: argparse.Namespace) -> None:
    """Extracts, trains, and says what came out."""
    if args.logistic and args.sweep:
        raise ConfigError("--logistic has no learning rate to --sweep: leave one of the two out")
    run = prepare(args)
    print(*run.notes, sep="\n")
    start = time.perf_counter()
    with in_one_line(), progress_shown():
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


def protocols(args: argparse.Namespace) -> None:
    """Extracts, judges, and says what came out."""
    projected = any(PROTOCOLS[name].feature == "projected" for name in args.protocols)
    run = prepare(args, "projected" if projected else "backbone")
    print(*run.notes, sep="\n")
    start = time.perf_counter()
    with in_one_line(), progress_shown():
        top1 = evaluate(
            run.model, run.bank, run.query, args.protocols, args.tokens, run.linear_probe
        )
    seconds = time.perf_counter() - start
    for name, percent in top1.items():
        print(f"{PROTOCOLS[name].title}: {percent:.2f} %")
    result = {
        "top1": top1,
        "protocols": {name: PROTOCOLS[name].title for name in top1},
        "linear_probe": run.linear_probe,
        "bank": len(run.bank.dataset),  # type: ignore[arg-type]
        "queries": len(run.query.dataset),  # type: ignore[arg-type]
        "config": args.config,
        "checkpoint": args.checkpoint,
        "data": args.data or args.config,
        "seconds": round(seconds, 2),
    }
    print(save_result(result, args, "_".join(args.protocols)))
