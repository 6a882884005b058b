"""What tools/evaluate do: extract features, judge them, say and write what came out."""

import argparse
import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from mixssl.cli.arguments import USUAL_K
from mixssl.cli.prepare import Prepared, in_one_line, prepare, save_result
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


def knn(args: argparse.Namespace) -> None:
    """Extracts, votes, and says what came out."""
    k = USUAL_K[args.vote] if args.k is None else args.k
    run = prepare(args, args.feature)
    images = len(run.bank.dataset)  # type: ignore[arg-type]
    if not 1 <= k <= images:
        raise ConfigError(
            f"k is {k} and the bank has {images} images: choose --k from 1 to {images}"
        )
    settings: dict[str, Any] = {"query_chunk": args.query_chunk, "bank_chunk": args.bank_chunk}
    if args.vote == "weighted":
        vote: Callable[..., Tensor] = weighted_knn
        settings["temperature"] = args.temperature
        sharpness = f"{args.temperature:g}"
        protocol, name = f"weighted {k}-NN, τ {sharpness}", f"weighted_{sharpness}"
    else:
        vote, protocol, name = majority_knn, f"{k}-NN, Euclidean", "majority"
    with _judged(args, run) as result:
        bank, queries = run.features(args.feature, args.tokens, args.half)
        labels = require_labels(queries)
        classes = vote(queries.features, *bank, k, **settings, device=run.device)
        result |= {
            "protocol": protocol,
            "feature": args.feature,
            "top1": accuracy(classes, labels),
            "k": k,
            "temperature": settings.get("temperature"),
            "dimensions": bank.features.shape[1],
            "half": args.half,
        }
    print(
        "{protocol}, {feature} ({dimensions} numbers): {top1:.2f} % of {queries} images right, among {bank}, "
        "in {seconds:.1f} s".format(**result)
    )
    print(save_result(result, args, f"knn_{name}_{k}_{args.feature}"))


@contextmanager
def _judged(args: argparse.Namespace, run: Prepared) -> Iterator[dict[str, Any]]:
    """Says what was loaded, and how far a protocol is that runs meanwhile; errors over its input become one line.

    Yields:
        Of what the figures are that the protocol adds, and at the end the seconds that it took.
    """
    print(*run.notes, sep="\n")
    result = {
        "bank": len(run.bank.dataset),  # type: ignore[arg-type]
        "queries": len(run.query.dataset),  # type: ignore[arg-type]
        "config": args.config,
        "checkpoint": args.checkpoint,
        "data": args.data or args.config,
    }
    start = time.perf_counter()
    with in_one_line(), progress_shown():
        yield result
    result["seconds"] = round(time.perf_counter() - start, 2)


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
    run, start = prepare(args), time.perf_counter()
    with _judged(args, run) as result:
        bank, queries = run.features("backbone", args.tokens, half=False)
        result["seconds_extracting"] = round(time.perf_counter() - start, 2)
        result["dimensions"] = bank.features.shape[1]
        result |= train_and_test(
            args, bank, queries, run.device, settings_of(args, run.linear_probe)
        )
    top5 = f", {result['top5']:.2f} % among the first 5" if result.get("top5") else ""
    print(
        "{protocol}: {top1:.2f} % of {queries} images right{top5}, in {seconds:.1f} s "
        "({seconds_extracting:.1f} s of them for the features)".format(**result | {"top5": top5})
    )
    print(save_result(result, args, "logistic" if args.logistic else "linear"))


def protocols(args: argparse.Namespace) -> None:
    """Extracts, judges, and says what came out."""
    projected = any(PROTOCOLS[name].feature == "projected" for name in args.protocols)
    run = prepare(args, "projected" if projected else "backbone")
    with _judged(args, run) as result:
        top1 = evaluate(
            run.model, run.bank, run.query, args.protocols, args.tokens, run.linear_probe
        )
        titles = {name: PROTOCOLS[name].title for name in top1}
        result |= {"top1": top1, "protocols": titles, "linear_probe": run.linear_probe}
    for name, percent in top1.items():
        print(f"{titles[name]}: {percent:.2f} %")
    print(save_result(result, args, "_".join(args.protocols)))
