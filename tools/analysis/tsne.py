#!/usr/bin/env python
"""Draws features in two dimensions: python tools/analysis/tsne.py CONFIG CHECKPOINT [CHECKPOINT ...]."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch.nn.functional import normalize

from mixssl.engine.comparison import add_comparison_arguments, each_model, save_both
from mixssl.engine.evaluation import in_one_line, prepare_loaders, read_config
from mixssl.engine.launch import run_tool
from mixssl.evaluation import cluster_indices, extract_features
from mixssl.utils.errors import ConfigError
from mixssl.visualization import embed, points_figure


def parse_args() -> argparse.Namespace:
    """Models and images, and how they are placed."""
    parser = argparse.ArgumentParser(
        description="t-SNE or UMAP of the images of knn_query, with Davies-Bouldin (lower is better) and "
        "Calinski-Harabasz (higher is better) indices of the classes."
    )
    add_comparison_arguments(parser, "tsne.png")
    parser.add_argument("--method", choices=["t-SNE", "UMAP"], default="t-SNE")
    parser.add_argument(
        "--feature", choices=["backbone", "projected"], default="backbone", help="default backbone"
    )
    parser.add_argument("--num", type=int, default=2000, help="images, default 2000")
    parser.add_argument(
        "--classes", type=int, nargs="+", metavar="LABEL", help="only these; default: the first ten"
    )
    parser.add_argument("--seed", type=int, default=0, help="of images and embedding, default 0")
    return parser.parse_args()


def choose(labels: torch.Tensor, wanted: list[int] | None, number: int, seed: int) -> torch.Tensor:
    """Indices of images of the classes wanted, drawn from a seed, in ascending order."""
    known = labels.unique()
    kept = known[:10] if wanted is None else torch.tensor(wanted)
    absent = [int(label) for label in kept if label not in known]
    if absent:
        raise ConfigError(f"--classes names {absent[0]}, and no image has that label")
    found = torch.isin(labels, kept).nonzero()[:, 0]
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(seed))
    return found[order[:number]].sort().values


def main() -> None:
    """Extracts, places, measures, draws."""
    args = parse_args()
    cfg = read_config(args)
    data = read_config(args, args.data) if args.data is not None else cfg
    _, query = prepare_loaders(data, args.data_root)
    parts = ("backbone", "neck") if args.feature == "projected" else ("backbone",)
    points, numbers, labels = {}, {}, None
    for name, model, loaded in each_model(cfg, args, parts):
        print(loaded)
        with in_one_line():
            features, found = extract_features(model, query, args.feature, args.tokens)
            if found is None:
                raise ConfigError("the images of knn_query have no labels to colour them by")
            chosen = choose(found, args.classes, args.num, args.seed)
            rows, labels = normalize(features[chosen]), found[chosen]
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
    names = query.dataset.metainfo.get("classes")  # type: ignore[attr-defined]
    figure = points_figure(
        points,
        labels,
        names,
        args.method,
        f"{args.method} of {len(labels)} images, {args.feature} features (DB: lower is better, CH: higher)",
    )
    result = {
        "method": args.method,
        "feature": args.feature,
        "images": len(labels),
        "models": numbers,
    }
    default = Path(
        "work_dirs", Path(args.config).stem, f"{args.method.lower().replace('-', '')}.png"
    )
    print(save_both(figure, result, args.picture, default, args.out))


if __name__ == "__main__":
    sys.exit(run_tool(main, "tsne.py"))
