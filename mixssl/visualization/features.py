"""Features in two dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from sklearn.preprocessing import normalize
from torch import Tensor

from mixssl.visualization.style import look, new_figure

__all__ = ["tsne_figure"]

_PERPLEXITY = 30.0


def tsne_figure(
    features_by_name: Mapping[str, Tensor],
    labels: Tensor,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    title: str = "",
) -> Figure:
    """Draws a panel for each set of features, embedded by t-SNE (van der Maaten and Hinton 2008), coloured by class.

    Features are normalised first, so that near means similar by cosine, as k-NN evaluation takes it. A class has a
    colour, a marker and its name at the middle of its points. scikit-learn draws from its own generator, seeded.

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
    if not features_by_name:
        raise ValueError("features_by_name is empty: give at least one set of features")
    for name, features in features_by_name.items():
        if len(features) != len(labels) or len(features) < 4:
            raise ValueError(
                f"{name} has {len(features)} features and there are {len(labels)} labels: "
                "give as many of both, at least 4"
            )
    kinds = labels.cpu().numpy()
    names = (
        list(classes)
        if classes is not None
        else [str(kind) for kind in range(int(kinds.max()) + 1)]
    )
    figure = new_figure(4.9, title)
    panels = figure.subplots(1, len(features_by_name), squeeze=False)[0]
    for panel, (name, features) in zip(panels, features_by_name.items(), strict=True):
        _draw_points(panel, _embed(features, seed), kinds, names)
        panel.set_title(name, fontsize=13)
        panel.set(xlabel="t-SNE 1", xticks=[], yticks=[])
    panels[0].set_ylabel("t-SNE 2")
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


def _embed(features: Tensor, seed: int) -> np.ndarray:
    """(N, D) to (N, 2)."""
    points = normalize(features.detach().float().cpu().numpy())
    perplexity = min(_PERPLEXITY, (len(points) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(points)


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
