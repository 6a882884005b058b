#!/usr/bin/env python
"""Draws features in two dimensions: python tools/analysis/tsne.py CONFIG CHECKPOINT [CHECKPOINT ...]."""

import argparse
import sys
from pathlib import Path

import torch
from torch.nn.functional import normalize
from torch.utils.data import DataLoader, Subset

from mixssl.cli.analysis import each_model, save_both
from mixssl.cli.arguments import add_comparison_arguments
from mixssl.cli.prepare import in_one_line, prepare_loaders, read_config
from mixssl.cli.tool import run_tool
from mixssl.evaluation import cluster_indices, extract_features
from mixssl.utils.errors import ConfigError
from mixssl.visualization import embed, points_figure

LOADERS = {"test": "knn_query", "train": "knn_bank"}
"""Where a config has the images that are asked for."""
OF = {"test": "test", "train": "training"}


def parse_args() -> argparse.Namespace:
    """Models and images, and how they are placed."""
    parser = argparse.ArgumentParser(
        description="t-SNE or UMAP of images, with Davies-Bouldin (lower is better) and Calinski-Harabasz (higher is "
        "better) indices of the classes."
    )
    add_comparison_arguments(parser, "tsne.png")
    parser.add_argument("--method", choices=["t-SNE", "UMAP"], default="t-SNE")
    parser.add_argument(
        "--feature", choices=["backbone", "projected"], default="backbone", help="default backbone"
    )
    parser.add_argument(
        "--images",
        choices=list(LOADERS),
        default="test",
        help="those of knn_query (test, the default) or of knn_bank (train)",
    )
    parser.add_argument("--num", type=int, default=2000, help="images, default 2000")
    classes = parser.add_mutually_exclusive_group()
    classes.add_argument(
        "--classes", type=int, nargs="+", metavar="LABEL", help="only these; default: the first ten"
    )
    classes.add_argument(
        "--random-classes", type=int, metavar="N", help="only N classes, drawn from the seed"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of classes, images and embedding, default 0"
    )
    return parser.parse_args()


def wanted_classes(known: torch.Tensor, args: argparse.Namespace) -> torch.Tensor:
    """The classes to draw: those named, so many at random, or the first ten."""
    if args.classes is not None:
        absent = [label for label in args.classes if label not in known]
        if absent:
            raise ConfigError(f"--classes names {absent[0]}, and no image has that label")
        return torch.tensor(args.classes)
    if args.random_classes is None:
        return known[:10]
    if not 1 <= args.random_classes <= len(known):
        raise ConfigError(
            f"--random-classes is {args.random_classes} and must lie in [1, {len(known)}], as many as there are"
        )
    order = torch.randperm(len(known), generator=torch.Generator().manual_seed(args.seed))
    return known[order[: args.random_classes]]


def chosen(loader: DataLoader, args: argparse.Namespace) -> DataLoader:
    """The loader of those images alone that are drawn: of the wanted classes, from the seed, in ascending order."""
    try:
        labels = torch.as_tensor(loader.dataset.get_gt_labels())  # type: ignore[attr-defined]
    except (AttributeError, KeyError) as error:
        raise ConfigError(
            f"the images of {LOADERS[args.images]} have no labels to colour them by"
        ) from error
    found = torch.isin(labels, wanted_classes(labels.unique(), args)).nonzero()[:, 0]
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(args.seed))
    rows = found[order[: args.num]].sort().values
    return DataLoader(
        Subset(loader.dataset, rows.tolist()),
        batch_size=loader.batch_size,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
    )


def main() -> None:
    """Extracts, places, measures, draws."""
    args = parse_args()
    cfg = read_config(args)
    data = read_config(args, args.data) if args.data is not None else cfg
    loaders = dict(zip(("train", "test"), prepare_loaders(data, args.data_root), strict=True))
    whole = loaders[args.images]
    images = chosen(whole, args)
    parts = ("backbone", "neck") if args.feature == "projected" else ("backbone",)
    points, numbers, labels = {}, {}, None
    for name, model, loaded in each_model(cfg, args, parts):
        print(loaded)
        with in_one_line():
            features, labels = extract_features(model, images, args.feature, args.tokens)
            assert labels is not None
            rows = normalize(features)
            try:
                placed = embed(rows, args.method, args.seed)
            except ImportError as error:
                raise ConfigError(str(error)) from error
            own, flat = cluster_indices(rows, labels), cluster_indices(placed, labels)
        numbers[name] = {"features": own._asdict(), args.method: flat._asdict()}
        heading = f"{name}\nDB {own.davies_bouldin:.2f}, CH {own.calinski_harabasz:.1f}"
        points[heading] = placed
        print(
            f"{name}: Davies-Bouldin {own.davies_bouldin:.3f}, Calinski-Harabasz {own.calinski_harabasz:.2f} of the "
            f"features; {flat.davies_bouldin:.3f} and {flat.calinski_harabasz:.2f} in the picture"
        )
    assert labels is not None
    names = whole.dataset.metainfo.get("classes")  # type: ignore[attr-defined]
    figure = points_figure(
        points,
        labels,
        names,
        args.method,
        f"{args.method} of {len(labels)} {OF[args.images]} images, {args.feature} features (DB: lower is better, "
        "CH: higher)",
    )
    result = {
        "method": args.method,
        "feature": args.feature,
        "images": len(labels),
        "of": LOADERS[args.images],
        "classes": labels.unique().tolist(),
        "models": numbers,
    }
    default = Path(
        "work_dirs", Path(args.config).stem, f"{args.method.lower().replace('-', '')}.png"
    )
    print(save_both(figure, result, args.picture, default, args.out))


if __name__ == "__main__":
    sys.exit(run_tool(main, "tsne.py"))
