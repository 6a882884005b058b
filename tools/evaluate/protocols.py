#!/usr/bin/env python
"""Judges a pre-trained model by several protocols at once, with the papers' settings; knn.py and linear.py have others.

Each kind of features is extracted once: python tools/evaluate/protocols.py CONFIG CHECKPOINT --protocols knn5 linear.
"""

from __future__ import annotations

import argparse
import sys
import time

from mixssl.engine.evaluation import add_model_arguments, in_one_line, prepare, save_result
from mixssl.engine.launch import run_tool
from mixssl.evaluation import PROTOCOLS, evaluate


def parse_args() -> argparse.Namespace:
    """Model and data, and the protocols."""
    parser = argparse.ArgumentParser(
        description="Top-1 of a pre-trained model by several protocols: "
        + "; ".join(f"{name}: {protocol.title}" for name, protocol in PROTOCOLS.items())
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--protocols",
        nargs="+",
        choices=list(PROTOCOLS),
        default=["knn5", "linear"],
        metavar="NAME",
        help=f"of {', '.join(PROTOCOLS)}; default knn5 linear",
    )
    return parser.parse_args()


def main() -> None:
    """Extracts, judges, and says what came out."""
    args = parse_args()
    projected = any(PROTOCOLS[name].feature == "projected" for name in args.protocols)
    run = prepare(args, "projected" if projected else "backbone")
    print(*run.notes, sep="\n")
    start = time.perf_counter()
    with in_one_line():
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


if __name__ == "__main__":
    sys.exit(run_tool(main, "protocols.py"))
