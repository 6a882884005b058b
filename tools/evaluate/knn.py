#!/usr/bin/env python
"""Judges a pre-trained model by its nearest neighbours: python tools/evaluate/knn.py CONFIG CHECKPOINT."""

from __future__ import annotations

import argparse
import sys

from mixssl.cli.arguments import USUAL_K, add_model_arguments
from mixssl.cli.tool import run_tool


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
    """Asks for little, and imports much only once it knows what is asked."""
    args = parse_args()
    from mixssl.cli.evaluate import knn

    knn(args)


if __name__ == "__main__":
    sys.exit(run_tool(main, "knn.py"))
