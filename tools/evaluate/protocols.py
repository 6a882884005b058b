#!/usr/bin/env python
"""Judges a pre-trained model by several protocols at once, with the papers' settings; knn.py and linear.py have others.

Each kind of features is extracted once: python tools/evaluate/protocols.py CONFIG CHECKPOINT --protocols knn5 linear.
"""

from __future__ import annotations

import argparse
import sys

from mixssl.cli.arguments import PROTOCOLS, add_model_arguments
from mixssl.cli.tool import run_tool


def parse_args() -> argparse.Namespace:
    """Model and data, and the protocols."""
    parser = argparse.ArgumentParser(
        description="Top-1 of a pre-trained model by several protocols: "
        + "; ".join(f"{name}: {title}" for name, title in PROTOCOLS.items())
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
    """Asks for little, and imports much only once it knows what is asked."""
    args = parse_args()
    from mixssl.cli.evaluate import protocols

    protocols(args)


if __name__ == "__main__":
    sys.exit(run_tool(main, "protocols.py"))
