#!/usr/bin/env python
"""Measures what a step costs with every mixture of the grid on a config's method: python docs/costs.py CONFIG.

Options and way of measuring are those of tools/benchmarks/step_cost.py; the table is that of docs/en/results.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config
from rich.console import Console
from rich.table import Table

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tools/benchmarks")]

from grid import RECIPES, lacking  # type: ignore[import-not-found]
from step_cost import compare, parse_args  # type: ignore[import-not-found]

from mixssl.cli.benchmark import get_ready, image_size, training_steps
from mixssl.cli.without_mixture import without_mixture
from mixssl.registry import MODELS
from mixssl.utils.cfg_options import merge_options


def recipes(cfg: Config, size: int) -> Iterator[tuple[str, Config]]:
    """Every mixture of the grid on a config's method, each as its name and a config."""
    method = MODELS.get(cfg.model.type)
    for recipe in RECIPES:
        if recipe.mixer is None or lacking(method, recipe):
            continue
        found = Config(without_mixture(cfg).to_dict())
        holder = found if "data_preprocessor" in found else found.model
        holder.data_preprocessor["mixer"] = recipe.mixer
        found.model.update({"mix_head": recipe.head, **recipe.model})
        if (
            "mix_block" in recipe.model
        ):  # a ResNet's layer3 has half as many channels as its last layer
            found.model.mix_block["in_channels"] = cfg.model.neck.in_channels // 2
        if "clusters" in recipe.model:
            found.model.clusters["feat_dim"] = cfg.model.neck.out_channels
        if "extra_sizes" in recipe.model:
            found.model["extra_sizes"] = [int(size * width) for width in recipe.widths[2::2]]
        elif len(recipe.widths) > 2:
            for step in training_steps(found):
                if "num_views" in step:
                    step["num_views"] = len(recipe.widths)
        if "LocalGlobal" in recipe.head["type"]:
            found.model["region_neck"] = {
                "type": "mixssl.RegionPool",
                "in_channels": cfg.model.neck.in_channels,
                "out_channels": cfg.model.neck.out_channels,
            }
        yield recipe.name, found


def main() -> None:
    """Measures and prints a table."""
    args = parse_args(__doc__)
    get_ready(args.threads)
    cfg = Config.fromfile(args.config)
    merge_options(cfg, args.cfg_options)
    console, figures = Console(), []
    for name, found in recipes(cfg, args.size or image_size(cfg)):
        figures.append(compare(name, found, without_mixture(found), args))
        console.print(f"{name}: {figures[-1]['ratio']:.3f}, limit {figures[-1]['limit']:.3f}")
    table = Table(title=f"{cfg.model.type}: steps with a mixture to steps without")
    for column in ("mixture", "units", "limit", "ratio", "middle half"):
        table.add_column(column, justify="left" if column == "mixture" else "right")
    for row in figures:
        low, high = row["quartiles"]
        table.add_row(
            row["config"],
            "{:g} / {:g}".format(*row["units"]),
            f"{row['limit']:.3f}",
            f"{row['ratio']:.3f}",
            f"{low:.3f} to {high:.3f}",
        )
    console.print(table)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
