#!/usr/bin/env python
"""Draws where backbones look: python tools/analysis/attention.py CONFIG CHECKPOINT [CHECKPOINT ...].

Of a ResNet the response of the last stage, of a vision transformer what the class token attends to in the last layer:
the mean of its heads, or with --heads each of them.
"""

import argparse
import sys
from pathlib import Path

import torch

from mixssl.cli.analysis import each_model, save_both
from mixssl.cli.arguments import add_comparison_arguments
from mixssl.cli.prepare import in_one_line, prepare_loaders, read_config
from mixssl.cli.tool import run_tool
from mixssl.evaluation import attention_maps, head_maps, spread
from mixssl.utils.errors import ConfigError, require_at_least
from mixssl.visualization import attention_figure


def parse_args() -> argparse.Namespace:
    """Models and images."""
    parser = argparse.ArgumentParser(
        description="Attention maps of the last stage, of several checkpoints side by side, on images of knn_query."
    )
    add_comparison_arguments(parser, "attention.png")
    parser.add_argument("--num", type=int, default=6, help="images, default 6")
    parser.add_argument(
        "--images",
        type=int,
        nargs="+",
        metavar="N",
        help="which ones, by their place in the data set",
    )
    parser.add_argument(
        "--heads", action="store_true", help="each head of a vision transformer by itself"
    )
    return parser.parse_args()


def main() -> None:
    """Looks, measures, draws."""
    args = parse_args()
    cfg = read_config(args)
    data = read_config(args, args.data) if args.data is not None else cfg
    _, query = prepare_loaders(data, args.data_root)
    total = len(query.dataset)  # type: ignore[arg-type]
    require_at_least(1, "--", num=args.num)
    chosen = args.images or torch.linspace(0, total - 1, min(args.num, total)).long().tolist()
    if not all(0 <= place < total for place in chosen):
        raise ConfigError(f"--images has {chosen}, and the data set has {total} images, from 0 on")
    with in_one_line("knn_query: "):
        samples = [query.dataset[place] for place in chosen]
    maps: dict[str, torch.Tensor] = {}
    images, norm = None, cfg.get("data_preprocessor") or cfg.model.data_preprocessor
    for name, model, loaded in each_model(cfg, args, ("backbone",)):
        print(loaded)
        batch = {
            "inputs": torch.stack([sample["inputs"] for sample in samples]),
            "data_samples": [sample["data_samples"] for sample in samples],
        }
        with in_one_line():
            inputs = model.data_preprocessor(batch, False)["inputs"]  # type: ignore[operator]
            images = inputs if isinstance(inputs, torch.Tensor) else inputs[0]
            if args.heads:
                heads = head_maps(model, images).cpu().unbind(1)
                maps |= {f"{name}, head {number}": one for number, one in enumerate(heads)}
            else:
                maps[name] = attention_maps(model, images).cpu()
    assert images is not None
    names = list(maps)
    numbers = {
        "images": chosen,
        "models": {name: {"spread": spread(found).tolist()} for name, found in maps.items()},
        "correlation with the first": {
            name: [
                torch.corrcoef(torch.stack([first.flatten(), other.flatten()]))[0, 1].item()
                for first, other in zip(maps[names[0]], maps[name], strict=True)
            ]
            for name in names[1:]
        },
    }
    for name, found in maps.items():
        print(f"{name}: mean spread {spread(found).mean():.3f} (0 a point, 1 even)")
    figure = attention_figure(
        images, maps, norm.get("mean"), norm.get("std"), "Where the last stage looks"
    )
    default = Path("work_dirs", Path(args.config).stem, "attention.png")
    print(save_both(figure, numbers, args.picture, default, args.out))


if __name__ == "__main__":
    sys.exit(run_tool(main, "attention.py"))
