"""What online clustering is made of: nearest centroids, means of clusters, a split in two. Pure functions.

Shapes: n rows, D numbers per feature, K clusters.
"""

import torch
from torch import Tensor

CHUNK = 65536
"""Rows summed at a time: bounds the memory of their one-hot labels."""
ROUNDS = 20
"""Of Lloyd's algorithm in a split."""


def nearest(features: Tensor, centroids: Tensor, allowed: Tensor | None = None) -> Tensor:
    """The centroid at the least Euclidean distance from each feature; the first of several at the same.

    Args:
        features: (n, D), float32.
        centroids: (K, D), float32.
        allowed: Centroids to choose from, (K,), bool; None for all.

    Returns:
        (n,), int64, in [0, K).
    """
    closeness = features @ centroids.t() - centroids.square().sum(dim=1) / 2
    if allowed is not None:
        closeness = closeness.masked_fill(~allowed, -torch.inf)
    return closeness.argmax(dim=1)


def cluster_sizes(labels: Tensor, clusters: int) -> Tensor:
    """Number of members of each cluster: labels (n,) to (K,), int64."""
    sizes = torch.zeros(clusters, dtype=torch.int64, device=labels.device)
    return sizes.index_add_(0, labels, torch.ones_like(labels))


def cluster_means(features: Tensor, labels: Tensor, fallback: Tensor) -> Tensor:
    """Mean of the features of each cluster.

    Summed by products with one-hot labels, not by adding to an index, whose order and so whose rounding a GPU leaves to
    chance: ranks that hold the same features get the same means.

    Args:
        features: (n, D), of any floating-point type.
        labels: (n,), int64, in [0, K).
        fallback: What a cluster without members gets, (K, D), float32.

    Returns:
        (K, D), float32.
    """
    names = torch.arange(len(fallback), device=labels.device)
    total, sizes = torch.zeros_like(fallback), cluster_sizes(labels, len(fallback))[:, None]
    for rows, own in zip(features.split(CHUNK), labels.split(CHUNK), strict=True):
        total += (names[:, None] == own).float() @ rows.float()
    return torch.where(sizes > 0, total / sizes.clamp_min(1), fallback)


def first_of_each(index: Tensor) -> tuple[Tensor, Tensor]:
    """Finds the first occurrence of each number, without waiting for the device as ``unique`` does.

    Args:
        index: (n,), int64.

    Returns:
        first: For each row the row in which its number occurs first, (n,), int64.
        is_first: Whether that is the row itself, (n,), bool.
    """
    value, order = index.sort(stable=True)
    place = torch.arange(len(index), device=index.device)
    begins = torch.ones_like(value, dtype=torch.bool)
    begins[1:] = value[1:] != value[:-1]
    start = torch.where(begins, place, 0).cummax(dim=0).values
    first = torch.empty_like(order).index_copy_(0, order, order[start])
    return first, first == place


def two_means(features: Tensor, smallest: int, generator: torch.Generator) -> Tensor:
    """Splits features in two by Lloyd's algorithm, from a random one and the one farthest from it.

    Where a part would be too small, the border moves along the line through both means until it is not.

    Args:
        features: (n, D), float32, n >= 2.
        smallest: Least size of a part, in [1, n / 2].
        generator: A CPU generator.

    Returns:
        Whether a feature belongs to the second part, (n,), bool.
    """
    one = features[int(torch.randint(len(features), (), generator=generator))]
    other = features[(features - one).square().sum(dim=1).argmax()]
    means = torch.stack([one, other])
    for _ in range(ROUNDS):
        means = cluster_means(features, nearest(features, means), means)
    size = int(nearest(features, means).sum())
    size = min(max(size, smallest), len(features) - smallest)
    towards = features @ (means[1] - means[0])
    second = torch.zeros_like(towards, dtype=torch.bool)
    second[towards.argsort(stable=True)[len(features) - size :]] = True
    return second
