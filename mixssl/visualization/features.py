"""Features in two dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.patheffects as effects
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from sklearn.preprocessing import normalize
from torch import Tensor

from mixssl.visualization.style import look, new_figure

__all__ = ["EMBEDDINGS", "embed", "points_figure", "tsne_figure"]

_PERPLEXITY = 30.0


def tsne_figure(
    features_by_name: Mapping[str, Tensor],
    labels: Tensor,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    title: str = "",
) -> Figure:
    """Draws a panel for each set of features, embedded by t-SNE (van der Maaten and Hinton 2008), coloured by class.

    Args:
        features_by_name: Heading of a panel to features, (N, D), N >= 4.
        labels: Class of each row, (N,), int64, from 0 on.
        classes: Name of each class; its number by default.
        seed: Of the embedding.
        title: Printed on top.

    Returns:
        A figure with the panels side by side and one legend.

    Raises:
        ValueError: If there are no features, or their number differs from that of the labels or is below 4.
    """
    _check(features_by_name, labels)
    points = {name: embed(features, "t-SNE", seed) for name, features in features_by_name.items()}
    return points_figure(points, labels, classes, "t-SNE", title)


def embed(features: Tensor, method: str = "t-SNE", seed: int = 0) -> Tensor:
    """Places features in two dimensions.

    Features are normalised first, so that near means similar by cosine, as k-NN evaluation takes it. The libraries
    draw from their own generators, seeded.

    Args:
        features: (N, D), float, N >= 4.
        method: "t-SNE", or "UMAP", which needs the package umap-learn.
        seed: Of the embedding.

    Returns:
        (N, 2), float32.

    Raises:
        ValueError: An unknown method, or fewer than 4 features.
        ImportError: UMAP without umap-learn.
    """
    if method not in EMBEDDINGS or len(features) < 4:
        raise ValueError(
            f"method is {method!r} for {len(features)} features; choose one of {', '.join(map(repr, EMBEDDINGS))}, and "
            "give at least 4 features"
        )
    points = EMBEDDINGS[method](normalize(features.detach().float().cpu().numpy()), seed)
    return torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32))


def points_figure(
    points_by_name: Mapping[str, Tensor],
    labels: Tensor,
    classes: Sequence[str] | None = None,
    axis: str = "t-SNE",
    title: str = "",
) -> Figure:
    """Draws a panel for each set of points. A class has a colour, a marker and its name at the middle of its points.

    Args:
        points_by_name: Heading of a panel to points, (N, 2).
        labels: As in :func:`tsne_figure`.
        classes: As in :func:`tsne_figure`.
        axis: What the dimensions are called.
        title: Printed on top.

    Returns:
        As :func:`tsne_figure`.

    Raises:
        ValueError: As :func:`tsne_figure`.
    """
    _check(points_by_name, labels)
    kinds = labels.cpu().numpy()
    names = (
        list(classes)
        if classes is not None
        else [str(kind) for kind in range(int(kinds.max()) + 1)]
    )
    columns = min(len(points_by_name), 3)
    lines = -(-len(points_by_name) // columns)
    figure = new_figure(0.7 + 4.2 * lines, title)
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    for panel in panels:
        panel.set_axis_off()
    for panel, (name, points) in zip(panels, points_by_name.items(), strict=False):
        panel.set_axis_on()
        _draw_points(panel, points.cpu().numpy(), kinds, names)
        panel.set_title(name, fontsize=13)
        panel.set(xlabel=f"{axis} 1", xticks=[], yticks=[])
        panel.set_aspect("equal", adjustable="datalim")  # distances are what there is to see
    panels[0].set_ylabel(f"{axis} 2")
    handles, entries = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        entries,
        loc="outside lower center",
        ncols=min(len(entries), 10),
        fontsize=11,
        markerscale=1.6,
    )
    return figure


def _check(rows_by_name: Mapping[str, Tensor], labels: Tensor) -> None:
    """Raises where there is nothing to draw, or labels are of other rows."""
    if not rows_by_name:
        raise ValueError("features_by_name is empty: give at least one set of features")
    for name, rows in rows_by_name.items():
        if len(rows) != len(labels) or len(rows) < 4:
            raise ValueError(
                f"{name} has {len(rows)} features and there are {len(labels)} labels: "
                "give as many of both, at least 4"
            )


def _tsne(rows: np.ndarray, seed: int) -> np.ndarray:
    perplexity = min(_PERPLEXITY, (len(rows) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(rows)


def _umap(rows: np.ndarray, seed: int) -> np.ndarray:
    try:
        from umap import UMAP  # type: ignore[import-not-found]
    except ImportError as error:
        raise ImportError(
            "UMAP needs a package that is not installed: pip install umap-learn"
        ) from error
    near = min(15, len(rows) - 1)
    return UMAP(n_neighbors=near, random_state=seed, n_jobs=1).fit_transform(rows)


EMBEDDINGS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"t-SNE": _tsne, "UMAP": _umap}
"""How features can be placed in two dimensions, by name."""


def _draw_points(panel: Axes, points: np.ndarray, kinds: np.ndarray, names: Sequence[str]) -> None:
    """Draws each class with its colour, marker and name."""
    for kind, name in enumerate(names):
        own = points[kinds == kind]
        if not len(own):
            continue
        colour, marker = look(kind)
        panel.scatter(
            own[:, 0],
            own[:, 1],
            s=22,
            color=colour,
            marker=marker,
            alpha=0.75,
            linewidths=0,
            label=name,
        )
        panel.text(
            float(np.median(own[:, 0])),
            float(np.median(own[:, 1])),
            name,
            fontsize=15,
            fontweight="bold",
            color=colour,
            ha="center",
            va="center",
            path_effects=[effects.withStroke(linewidth=3.5, foreground="white")],
        )
