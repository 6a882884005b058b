#!/usr/bin/env python
"""Trains configs under one budget, judges them alike, and puts them side by side.

python tools/compare.py CONFIG [CONFIG ...] --epochs E [--seeds 0 1 2] [--protocols knn5 linear] [--with-baseline]

The same command goes on where it was stopped. docs/en/user_guides/compare.md has the rest.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

try:
    from mixssl.cli.arguments import PROTOCOLS
    from mixssl.cli.tool import run_tool
    from mixssl.utils.cfg_options import OptionsAction
except ImportError as error:
    sys.stderr.write(f"compare.py: {error}; after make setup run: source .venv/bin/activate\n")
    raise SystemExit(2) from None

TOOLS = Path(__file__).resolve().parent


def parse_args() -> argparse.Namespace:
    """What to compare, how long, by what, and where."""
    parser = argparse.ArgumentParser(
        description="Train configs under one budget, judge them alike, and put them side by side."
    )
    parser.add_argument("configs", nargs="+", help="training configs")
    parser.add_argument("--epochs", type=int, required=True, help="of each run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="default 0")
    parser.add_argument(
        "--protocols",
        nargs="+",
        choices=list(PROTOCOLS),
        default=["knn5"],
        metavar="NAME",
        help=f"of {', '.join(PROTOCOLS)}; default knn5",
    )
    parser.add_argument("--names", nargs="+", help="what to call the configs")
    for option, words in (
        ("--cfg-options", "change every config; KEY?=VALUE only those that have the key"),
        ("--sweep", "a row for each value: KEY=v1,v2,... or KEY=[v1,v2]"),
    ):
        parser.add_argument(
            option, nargs="+", action=OptionsAction, default={}, metavar="KEY=VALUE", help=words
        )
    parser.add_argument(
        "--with-baseline",
        action="store_true",
        help="compare each row with the same config without its mixture, not with the first row",
    )
    parser.add_argument(
        "--with-untrained", action="store_true", help="judge initial weights too, of seed 0"
    )
    parser.add_argument(
        "--equal-compute",
        nargs="?",
        const="measured",
        choices=["measured", "needed"],
        help="also train each baseline for as much compute as its mixture has, by the cost of a step as measured "
        "(default) or as its passes need; implies --with-baseline",
    )
    parser.add_argument(
        "--cost-pairs", type=int, default=10, help="steps timed for the cost, default 10"
    )
    parser.add_argument("--data-root", metavar="DIR", help="folder of the images")
    parser.add_argument("--data", metavar="CONFIG", help="judge on the images of this config")
    parser.add_argument("--amp", action="store_true", help="float16 (on a GPU)")
    parser.add_argument(
        "--deterministic", action="store_true", help="deterministic algorithms only (slower)"
    )
    parser.add_argument("--device", help="to judge on; default: cuda where there is one")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/compare"), metavar="DIR")
    parser.add_argument("--title", help="of the page; default: name of the folder")
    parser.add_argument("--dry-run", action="store_true", help="say what would be run, and end")
    args = parser.parse_args()
    if len(set(args.seeds)) < len(args.seeds) or args.cost_pairs < 2:
        parser.error("--seeds must differ from each other, and --cost-pairs be at least 2")
    args.with_baseline |= args.equal_compute is not None
    return args


def main() -> None:
    """Asks for little, and imports much only once it knows what is asked."""
    args = parse_args()
    from mixssl.cli.compare import compare

    compare(args, TOOLS)


if __name__ == "__main__":
    sys.exit(run_tool(main, "compare.py"))
