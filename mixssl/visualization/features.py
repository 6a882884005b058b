"""Features in two dimensions."""

from collections.abc import Mapping, Sequence

import matplotlib.patheffects as effects
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from sklearn.preprocessing import normalize
from torch import Tensor

from mixssl.utils.errors import ConfigError
from mixssl.visualization.style import look, panels

EMBEDDINGS = ("t-SNE", "UMAP")
PERPLEXITY = 30.0
NEIGHBOURS = 15


def embed(features: Tensor, method: str = "t-SNE", seed: int = 0) -> Tensor:
    """Places features in two dimensions.

    Features are normalised first, so that near means similar by cosine, as k-NN evaluation takes it. The libraries
    draw from their own generators, seeded. mmpretrain's tool for t-SNE draws the features of classifiers only.

    Args:
        features: (N, D), float, N >= 4.
        method: "t-SNE" (van der Maaten and Hinton 2008), or "UMAP", which needs the package umap-learn.
        seed: Of the embedding.

    Returns:
        (N, 2), float32.

    Raises:
        ConfigError: Fewer than 4 features, or UMAP without umap-learn.
    """
    if len(features) < 4:
        raise ConfigError(f"there are {len(features)} features, and {method} needs at least 4")
    rows = normalize(features.detach().float().cpu().numpy())
    placing = TSNE(perplexity=min(PERPLEXITY, (len(rows) - 1) / 3), init="pca", random_state=seed)
    if method == "UMAP":
        try:
            from umap import UMAP  # type: ignore[import-not-found]
        except ImportError as error:
            raise ConfigError(
                "UMAP needs a package that is not installed: pip install umap-learn"
            ) from error
        near = min(NEIGHBOURS, len(rows) - 1)
        placing = UMAP(n_neighbors=near, random_state=seed, n_jobs=1)
    return torch.from_numpy(np.ascontiguousarray(placing.fit_transform(rows), dtype=np.float32))


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
        labels: Class of each point, (N,), int64, from 0 on.
        classes: Name of each class; its number by default.
        axis: What the dimensions are called.
        title: Printed on top.

    Returns:
        A figure with up to three panels in a line and one legend.
    """
    numbers = labels.cpu().numpy()
    names = (
        [str(number) for number in range(int(numbers.max()) + 1)] if classes is None else classes
    )
    figure, axes = panels(len(points_by_name), 3, 4.2, title, margin=0.7)
    for panel, (heading, points) in zip(axes, points_by_name.items(), strict=True):
        for number, name in enumerate(names):
            _draw_class(panel, points.cpu().numpy()[numbers == number], number, name)
        panel.set_title(heading, fontsize=13)
        panel.set(xlabel=f"{axis} 1", xticks=[], yticks=[])
        panel.set_aspect("equal", adjustable="datalim")  # distances are what there is to see
    axes[0].set_ylabel(f"{axis} 2")
    handles, entries = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, entries, loc="outside lower center", ncols=min(len(entries), 10), markerscale=1.6
    )
    return figure


def _draw_class(panel: Axes, own: np.ndarray, number: int, name: str) -> None:
    """Draws the points of a class, (M, 2), and its name at their median."""
    if not len(own):
        return
    colour, marker = look(number)
    x, y = own.T
    panel.scatter(x, y, s=22, color=colour, marker=marker, alpha=0.75, linewidths=0, label=name)
    x, y = np.median(own, axis=0)
    text = panel.text(x, y, name, color=colour, fontsize=15, ha="center", va="center")
    text.set(
        fontweight="bold", path_effects=[effects.withStroke(linewidth=3.5, foreground="white")]
    )
