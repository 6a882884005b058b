"""Whether features are any good, asked of the features alone: how many directions they use, and how far they spread."""

import torch
import torch.nn.functional as F
from torch import Tensor


def rank_me(features: Tensor, epsilon: float = 1e-7) -> float:
    """How many directions features use: the exponential of the entropy of their singular values.

    Garrido et al., RankMe (ICML 2023), equation 1, on features that are not centred, as theirs. Runs of one method can
    be compared by it, methods can't.

    Args:
        features: (N, D), float; more rows than the rank that is expected (the paper takes 25,600).
        epsilon: Added to each share before its logarithm.

    Returns:
        From 1 to min(N, D); 0 for features that are all zero.

    Raises:
        ValueError: Not (N, D) with N >= 1.
    """
    if features.ndim != 2 or not len(features):
        raise ValueError(f"rank_me: features {tuple(features.shape)} must be (N, D) with N >= 1")
    values = torch.linalg.svdvals(features.double())
    total = values.sum()
    if total == 0:
        return 0.0
    share = values / total + epsilon
    return (-(share * share.log()).sum()).exp().item()


def lidar(views: Tensor, delta: float = 1e-4, epsilon: float = 1e-8) -> float:
    """How many directions tell images apart better than their own views differ.

    Thilak et al., LiDAR (ICLR 2024): the exponential of the entropy of the eigenvalues of Σw^-½ Σb Σw^-½, with the
    scatter between images Σb and that within an image Σw + ``delta``. Features that have collapsed have no scatter
    between images and give 0; by the formula alone they would give the largest rank there is.

    Args:
        views: (N, V, D), float: V >= 2 views of each of N >= 2 images; at most min(D, N - 1) can come out.
        delta: Added to the diagonal of Σw.
        epsilon: Added to each eigenvalue.

    Raises:
        ValueError: Another shape.
    """
    if views.ndim != 3 or views.shape[0] < 2 or views.shape[1] < 2:
        raise ValueError(
            f"lidar: views {tuple(views.shape)} must be (N, V, D) with at least 2 images and 2 views"
        )
    views = views.double()
    images, count = views.shape[:2]
    own = views.mean(1)
    apart = own - own.mean(0)
    between = apart.T @ apart / (images - 1)
    rest = (views - own[:, None]).flatten(0, 1)
    within = rest.T @ rest / (images * (count - 1))
    # What rounding leaves of features that are all the same.
    if between.trace() <= 1e-12 * views.square().sum(-1).mean().clamp(min=1e-12):
        return 0.0
    within.diagonal().add_(delta)
    scale, axes = torch.linalg.eigh(within)
    white = axes * scale.clamp(min=delta / 2).rsqrt() @ axes.T
    values = torch.linalg.eigvalsh(white @ between @ white).clamp(min=0) + epsilon
    share = values / values.sum()
    return (-(share * share.log()).sum()).exp().item()


def feature_std(features: Tensor) -> float:
    """Spread of features on the unit sphere: the standard deviation of each number, averaged.

    Chen and He, SimSiam (2021), figure 2: 0 where all images have one feature, 1/√D where they spread evenly.

    Args:
        features: (N, D), float, N >= 2; need not be normalised.

    Raises:
        ValueError: Fewer than two rows.
    """
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(
            f"feature_std: features {tuple(features.shape)} must be (N, D) with N >= 2"
        )
    return F.normalize(features.double()).std(0).mean().item()
