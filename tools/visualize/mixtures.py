#!/usr/bin/env python
"""Draws what a config's mixer does to its first training batch: python tools/visualize/mixtures.py CONFIG.

A learned mixer's masks are drawn as checkpoints have them, side by side: ... CONFIG --checkpoints epoch_1.pth last.pth
"""

from __future__ import annotations

import argparse
import sys

from mixssl.cli.tool import run_tool


def parse_args() -> argparse.Namespace:
    """Config, checkpoints, output, number of mixtures, seed."""
    parser = argparse.ArgumentParser(description="Draw what a config's mixer does.")
    parser.add_argument("config", help="config file with a mixer")
    parser.add_argument(
        "--checkpoints",
        nargs="+",
        default=[],
        metavar="FILE",
        help="of a run with a learned mixer, in the order to be drawn in",
    )
    parser.add_argument(
        "--out", help="picture to write, default work_dirs/<config's name>/mixtures.png"
    )
    parser.add_argument(
        "--num", type=int, help="mixtures to draw, default 8, or 4 side by side over checkpoints"
    )
    parser.add_argument("--seed", type=int, default=0, help="of images and draws, default 0")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the images")
    parser.set_defaults(work_dir=None, launcher="none", local_rank=0)
    return parser.parse_args()


def main() -> None:
    """Asks for little, and imports much only once it knows what is asked."""
    args = parse_args()
    from mixssl.cli.mixtures import mixtures

    mixtures(args)


if __name__ == "__main__":
    sys.exit(run_tool(main, "mixtures.py"))
