#!/usr/bin/env python
"""Draws what a config's mixer does to its first training batch: python tools/visualize/mixtures.py CONFIG."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import set_random_seed

from mixssl.engine.launch import load_config, run_tool, set_data_root
from mixssl.visualization import draw_mixtures, mixture_figure, save_figure


def parse_args() -> argparse.Namespace:
    """Config, output, number of mixtures, seed."""
    parser = argparse.ArgumentParser(description="Draw what a config's mixer does.")
    parser.add_argument("config", help="config file with a mixer")
    parser.add_argument(
        "--out", help="picture to write, default work_dirs/<config's name>/mixtures.png"
    )
    parser.add_argument("--num", type=int, default=8, help="mixtures to draw, default 8")
    parser.add_argument("--seed", type=int, default=0, help="of images and draws, default 0")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the images")
    parser.set_defaults(work_dir=None, launcher="none", local_rank=0)
    return parser.parse_args()


def title(cfg: Config) -> str:
    """The mixer and its settings, as the config has them."""
    mixer = dict((cfg.get("data_preprocessor") or cfg.model.data_preprocessor)["mixer"])
    name = mixer.pop("type").removeprefix("mixssl.")
    return f"{name}({', '.join(f'{key}={value}' for key, value in mixer.items())})"


def main() -> None:
    """Reads, draws, saves, and says where."""
    args = parse_args()
    cfg = load_config(args)
    if args.data_root is not None:
        set_data_root(cfg, args.data_root)
    set_random_seed(args.seed)
    views, mixtures = draw_mixtures(cfg, args.num, args.seed)
    norm = cfg.get("data_preprocessor") or cfg.model.data_preprocessor
    figure = mixture_figure(views, mixtures, norm.get("mean"), norm.get("std"), title=title(cfg))
    out = args.out or Path("work_dirs", Path(args.config).stem, "mixtures.png")
    print(save_figure(figure, out))


if __name__ == "__main__":
    sys.exit(run_tool(main, "mixtures.py"))
