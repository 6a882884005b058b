#!/usr/bin/env python
"""Runs a config's test loop on a checkpoint: python tools/test.py CONFIG CHECKPOINT [options]."""

from __future__ import annotations

import argparse
import sys

try:
    from mixssl.cli.arguments import add_common_arguments
    from mixssl.cli.tool import run_tool
except ImportError as error:
    sys.stderr.write(f"test.py: {error}; after make setup run: source .venv/bin/activate\n")
    raise SystemExit(2) from None


def parse_args() -> argparse.Namespace:
    """mmpretrain's arguments, and --data-root."""
    parser = argparse.ArgumentParser(
        description="Test a checkpoint of a config that has a test loop."
    )
    add_common_arguments(parser)
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("--out", help="file for the results (.pkl, or .json for metrics)")
    parser.add_argument(
        "--out-item",
        choices=["metrics", "pred"],
        help="what --out holds: metrics, or predictions (default)",
    )
    parser.add_argument("--show-dir", help="folder for pictures of predictions")
    parser.add_argument("--show", action="store_true", help="show predictions in a window")
    parser.add_argument("--interval", type=int, default=1, help="show every n-th sample")
    parser.add_argument(
        "--wait-time", type=float, default=2, help="seconds for which a window stays"
    )
    parser.add_argument(
        "--tta", action="store_true", help="average over the flipped image (classifiers)"
    )
    return parser.parse_args()


def main() -> None:
    """Asks for little, and imports much only once it knows what is asked."""
    args = parse_args()
    from mixssl.cli.testing import test

    test(args)


if __name__ == "__main__":
    sys.exit(run_tool(main, "test.py"))
