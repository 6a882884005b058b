#!/usr/bin/env python
"""Draws the weights of checkpoints over each other: python tools/analysis/weights.py CHECKPOINT CHECKPOINT."""

import argparse
import sys
from pathlib import Path
from statistics import mean

from mixssl.cli.analysis import names_of, save_both
from mixssl.cli.prepare import in_one_line
from mixssl.cli.tool import run_tool
from mixssl.utils.checkpoints import part_of, read_checkpoint
from mixssl.visualization import convolutions, weight_numbers, weights_figure


def parse_args() -> argparse.Namespace:
    """Checkpoints, and which layers."""
    parser = argparse.ArgumentParser(
        description="Weight distributions of the backbone's convolutions, layer by layer (Un-Mix, Figures 12 and 13)."
    )
    parser.add_argument("checkpoints", nargs="+", help="of one backbone; the first is the baseline")
    parser.add_argument("--names", nargs="+", help="what to call them; default: file names")
    parser.add_argument(
        "--layers",
        type=int,
        nargs="+",
        metavar="N",
        help="convolutions to draw, counted from 1; default all. Figure 12 has 1 10 20 30 40 50",
    )
    parser.add_argument("--picture", help="default work_dirs/weights.png; the numbers go beside it")
    parser.add_argument("--out", metavar="JSON", help="file for the numbers")
    return parser.parse_args()


def main() -> None:
    """Reads, counts, draws."""
    args = parse_args()
    names = names_of(args.checkpoints, args.names)
    layers = {
        name: convolutions(part_of(read_checkpoint(path).state, "backbone"))
        for name, path in zip(names, args.checkpoints, strict=True)
    }
    with in_one_line():
        numbers = weight_numbers(layers)
        figure = weights_figure(layers, args.layers, "Weights of the backbone's convolutions")
    for name in names:
        rows = [layer[name] for layer in numbers.values()]
        print(
            f"{name}: mean over {len(rows)} layers: std {mean(row['std'] for row in rows):.4g}, "
            f"{mean(row['near_zero'] for row in rows):.2f} % of the weights close to zero"
        )
    print(save_both(figure, numbers, args.picture, Path("work_dirs/weights.png"), args.out))


if __name__ == "__main__":
    sys.exit(run_tool(main, "weights.py"))
