#!/usr/bin/env python
"""Measures alignment and uniformity: python tools/analysis/alignment.py CONFIG CHECKPOINT [CHECKPOINT ...]."""

import argparse
import sys
from pathlib import Path

import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed
from torch.nn.functional import normalize
from torch.utils.data import DataLoader

from mixssl.cli.analysis import each_model, save_both
from mixssl.cli.arguments import add_comparison_arguments
from mixssl.cli.launch import set_data_root
from mixssl.cli.prepare import in_one_line, read_config
from mixssl.cli.run_defaults import fill_loaders
from mixssl.cli.tool import run_tool
from mixssl.evaluation import alignment, extract_views, uniformity
from mixssl.utils.config_checks import check_config, forbid_silent_download
from mixssl.utils.errors import ConfigError, require_at_least
from mixssl.visualization import Distances, alignment_figure


def parse_args() -> argparse.Namespace:
    """Models and images."""
    parser = argparse.ArgumentParser(
        description="How close two views of an image lie (alignment, squared distance) and how evenly images spread "
        "over the unit sphere (uniformity, t = 2), in the views that training sees; lower is better for both."
    )
    add_comparison_arguments(parser, "alignment.png")
    parser.add_argument(
        "--feature",
        choices=["backbone", "projected"],
        default="projected",
        help="default projected",
    )
    parser.add_argument("--num", type=int, default=2000, help="images, default 2000")
    parser.add_argument("--seed", type=int, default=0, help="of the views, default 0")
    return parser.parse_args()


def views_loader(args: argparse.Namespace) -> DataLoader:
    """The loader of training, in order and in this process, so that a seed gives the same views to every model."""
    cfg = read_config(args, args.data)
    if cfg.get("train_dataloader") is None:
        raise ConfigError(f"{cfg.filename} has no train_dataloader to take views from")
    for key in ("val_dataloader", "test_dataloader", "default_hooks", "custom_hooks"):
        cfg.pop(key, None)
    if args.data_root is not None:
        set_data_root(cfg, args.data_root)
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.sampler = {"type": "DefaultSampler", "shuffle": False}
    fill_loaders(cfg, pin_memory=False, persistent_workers=None)
    forbid_silent_download(cfg)
    check_config(cfg)
    init_default_scope(cfg.get("default_scope", "mmpretrain"))
    set_random_seed(args.seed)
    with in_one_line("train_dataloader: "):
        return Runner.build_dataloader(cfg.train_dataloader, seed=args.seed)


def measure(first: torch.Tensor, second: torch.Tensor, seed: int) -> Distances:
    """Figures and distances of two views, (N, D) each."""
    one, two = normalize(first.double()), normalize(second.double())
    # A shift of the whole order leaves no image beside itself.
    order = torch.randperm(len(one), generator=torch.Generator().manual_seed(seed))
    return Distances(
        (one - two).norm(dim=1),
        (one[order] - one[order.roll(1)]).norm(dim=1),
        alignment(first, second),
        uniformity(first),
    )


def main() -> None:
    """Extracts, measures, draws."""
    args = parse_args()
    require_at_least(2, "--", num=args.num)
    parts = ("backbone", "neck") if args.feature == "projected" else ("backbone",)
    loader, models = views_loader(args), {}
    for name, model, loaded in each_model(read_config(args), args, parts):
        print(loaded)
        set_random_seed(args.seed)
        with in_one_line():
            first, second, *_ = extract_views(model, loader, args.num, args.feature, args.tokens)
            models[name] = measure(first, second, args.seed)
        print(
            f"{name}: alignment {models[name].alignment:.4f}, uniformity {models[name].uniformity:.4f}"
        )
    numbers = {
        "feature": args.feature,
        "images": len(next(iter(models.values())).views),
        "models": {
            name: {"alignment": found.alignment, "uniformity": found.uniformity}
            for name, found in models.items()
        },
    }
    title = f"Views and images on the unit sphere, {args.feature} features"
    figure = alignment_figure(models, title)
    default = Path("work_dirs", Path(args.config).stem, "alignment.png")
    print(save_both(figure, numbers, args.picture, default, args.out))


if __name__ == "__main__":
    sys.exit(run_tool(main, "alignment.py"))
