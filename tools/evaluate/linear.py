#!/usr/bin/env python
"""Judges a pre-trained model by a linear classifier: python tools/evaluate/linear.py CONFIG CHECKPOINT."""

from __future__ import annotations

import argparse
import sys

from mixssl.cli.arguments import add_model_arguments
from mixssl.cli.tool import run_tool


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


def main() -> None:
    """Asks for little, and imports much only once it knows what is asked."""
    args = parse_args()
    from mixssl.cli.evaluate import linear

    linear(args)


if __name__ == "__main__":
    sys.exit(run_tool(main, "linear.py"))
