#!/usr/bin/env python
"""Trains a config: python tools/train.py CONFIG [options]; several processes: tools/dist_train.sh CONFIG."""

from __future__ import annotations

import argparse
import sys

try:
    from mixssl.cli.arguments import add_common_arguments
    from mixssl.cli.tool import run_tool
except ImportError as error:
    sys.stderr.write(f"train.py: {error}; after make setup run: source .venv/bin/activate\n")
    raise SystemExit(2) from None


def parse_args() -> argparse.Namespace:
    """mmpretrain's arguments, and --data-root, --seed, --deterministic."""
    parser = argparse.ArgumentParser(description="Train a config.")
    add_common_arguments(parser)
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="continue from a checkpoint; without a path from the latest one in the work directory, if there is one",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="train for so many epochs, with schedules, warm-ups and monitors stretched to them",
    )
    parser.add_argument("--no-validate", action="store_true", help="leave validation out")
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate by total batch / auto_scale_lr.base_batch_size",
    )
    parser.add_argument(
        "--no-persistent-workers", action="store_true", help="start data workers anew each epoch"
    )
    parser.add_argument(
        "--seed", type=int, help="seed of everything random; default: drawn and logged"
    )
    parser.add_argument(
        "--deterministic", action="store_true", help="deterministic algorithms only (slower)"
    )
    return parser.parse_args()


def main() -> None:
    """Asks for little, and imports much only once it knows what is asked."""
    args = parse_args()
    from mixssl.cli.train import train

    train(args)


if __name__ == "__main__":
    sys.exit(run_tool(main, "train.py"))
