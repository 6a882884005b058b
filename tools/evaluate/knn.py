#!/usr/bin/env python
"""Judges a pre-trained model by its nearest neighbours: python tools/evaluate/knn.py CONFIG CHECKPOINT."""

from __future__ import annotations

import argparse
import sys
import time

from mixssl.engine.evaluation import add_model_arguments, in_one_line, prepare, save_result
from mixssl.engine.launch import run_tool
from mixssl.evaluation import accuracy, majority_knn, weighted_knn
from mixssl.evaluation.protocols import require_labels
from mixssl.utils.errors import ConfigError

USUAL_K = {"weighted": 200, "majority": 5}


def parse_args() -> argparse.Namespace:
    """Model and data, and the settings of the vote."""
    parser = argparse.ArgumentParser(
        description="k-NN accuracy of a pre-trained model on knn_bank and knn_query of its config."
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--vote",
        choices=list(USUAL_K),
        default="weighted",
        help="weighted: by cosine similarity, exp(s / τ) (default); majority: unweighted, by Euclidean distance",
    )
    parser.add_argument("--k", type=int, help="neighbours; default 200 weighted, 5 by majority")
    parser.add_argument(
        "--temperature", type=float, default=0.1, help="τ of the weighted vote, default 0.1"
    )
    parser.add_argument(
        "--feature",
        default="backbone",
        help="backbone (pooled, default) or projected (after the neck)",
    )
    parser.add_argument(
        "--half", action="store_true", help="keep features in float16, for banks of ImageNet's size"
    )
    parser.add_argument("--query-chunk", type=int, default=256, help="queries compared at a time")
    parser.add_argument("--bank-chunk", type=int, default=65536, help="neighbours at a time")
    return parser.parse_args()


def main() -> None:
    """Extracts, votes, and says what came out."""
    args = parse_args()
    k = USUAL_K[args.vote] if args.k is None else args.k
    run = prepare(args, args.feature)
    images = len(run.bank.dataset)  # type: ignore[arg-type]
    if not 1 <= k <= images:
        raise ConfigError(
            f"k is {k} and the bank has {images} images: choose --k from 1 to {images}"
        )
    print(*run.notes, sep="\n")
    start = time.perf_counter()
    with in_one_line():
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


if __name__ == "__main__":
    sys.exit(run_tool(main, "knn.py"))
