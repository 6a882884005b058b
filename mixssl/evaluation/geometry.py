"""How features lie in their space: clusters of classes, and closeness of views against spread of images."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score
from torch import Tensor

ROWS = 1024
"""Rows compared with all others at a time."""


class ClusterIndices(NamedTuple):
    """How well classes are separated.

    Attributes:
        davies_bouldin: Mean over classes of the worst ratio of spread within to distance between; lower is better.
        calinski_harabasz: Variance between classes over variance within; higher is better.
    """

    davies_bouldin: float
    calinski_harabasz: float


def cluster_indices(features: Tensor, labels: Tensor | None) -> ClusterIndices:
    """Indices of the classes as clusters (Davies and Bouldin 1979; Calinski and Harabasz 1974), as MixCo reports them.

    scikit-learn's. Both depend on the scale of single dimensions; normalise rows first where cosine counts.

    Args:
        features: (N, D), float.
        labels: (N,), int64, with 2 to N - 1 classes.

    Raises:
        ValueError: No labels, or as many classes as images, or a single one.
    """
    if labels is None or features.ndim != 2 or labels.shape != features.shape[:1]:
        found = None if labels is None else tuple(labels.shape)
        raise ValueError(
            f"cluster indices: features {tuple(features.shape)} and labels {found} must be (N, D) and (N,)."
        )
    classes = len(labels.unique())
    if not 2 <= classes < len(labels):
        raise ValueError(
            f"cluster indices: {classes} classes among {len(labels)} images; at least 2 are needed, and more images "
            "than classes."
        )
    x, y = features.detach().double().cpu().numpy(), labels.cpu().numpy()
    return ClusterIndices(float(davies_bouldin_score(x, y)), float(calinski_harabasz_score(x, y)))


def alignment(first: Tensor, second: Tensor, power: float = 2.0) -> float:
    """Mean distance, to a power, of two views of the same images on the unit sphere; lower is closer.

    Wang and Isola, Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere (2020), equation 3.

    Args:
        first: Features of one view, (N, D), float; need not be normalised.
        second: Of the other, row by row the same images, (N, D).
        power: > 0.

    Raises:
        ValueError: Shapes that differ, no rows, or a power out of range.
    """
    if first.shape != second.shape or first.ndim != 2 or len(first) == 0 or power <= 0:
        raise ValueError(
            f"alignment: views {tuple(first.shape)} and {tuple(second.shape)}, power {power}; two (N, D) with N >= 1 "
            "and a power above 0 are needed."
        )
    gap = F.normalize(first.double()) - F.normalize(second.double())
    return gap.norm(dim=1).pow(power).mean().item()


def uniformity(features: Tensor, sharpness: float = 2.0) -> float:
    """Logarithm of the mean Gaussian potential of pairs of images on the unit sphere; lower is more evenly spread.

    Wang and Isola (2020), equation 5, over all pairs of different rows. 0 if all features are the same.

    Args:
        features: (N, D), float, N >= 2; need not be normalised.
        sharpness: t of exp(-t * squared distance), > 0.

    Raises:
        ValueError: Fewer than two rows, or a sharpness out of range.
    """
    if features.ndim != 2 or len(features) < 2 or sharpness <= 0:
        raise ValueError(
            f"uniformity: features {tuple(features.shape)}, sharpness {sharpness}; (N, D) with N >= 2 and a sharpness "
            "above 0 are needed."
        )
    unit = F.normalize(features.double())
    total = torch.zeros((), dtype=torch.float64, device=unit.device)
    for rows in unit.split(ROWS):
        total += torch.exp(-sharpness * (2 - 2 * rows @ unit.T).clamp(min=0)).sum()
    count = len(unit)
    # The pairs of a row with itself, each 1.
    return math.log(max((total.item() - count) / (count * (count - 1)), 1e-300))
