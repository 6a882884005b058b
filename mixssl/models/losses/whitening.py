"""Whitening of embeddings, and W-MSE's distance between whitened ones.

Shapes: G groups, n rows of a group, D size of an embedding.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def whiten(groups: Tensor, eps: float = 0.0) -> Tensor:
    r"""Makes the columns of each group uncorrelated, with mean 0 and variance 1.

    .. math:: z = L^{-1} (x - \mu), \quad L L^\top = (1 - \varepsilon)\,\Sigma + \varepsilon I

    with the covariance Σ over n - 1 (W-MSE, Ermolov et al. 2021, §3). The Cholesky factor is solved against; the
    authors' code inverts it, which costs the same and rounds more.

    A covariance that is singular all the same, because rows repeat, makes its group NaN: raising an error would mean to
    wait for the device in every step.

    Args:
        groups: (G, n, D), float32 or float64, n > D unless eps > 0.
        eps: How far the covariance is drawn towards the identity, in [0, 1).

    Returns:
        Like ``groups``.

    Raises:
        ValueError: If a covariance is singular: too few rows.
    """
    rows, size = groups.shape[-2:]
    check_rows(rows, size, eps)
    centred = groups - groups.mean(dim=-2, keepdim=True)
    covariance = centred.mT @ centred / (rows - 1)
    eye = torch.eye(size, dtype=groups.dtype, device=groups.device)
    factor, failed = torch.linalg.cholesky_ex((1 - eps) * covariance + eps * eye)
    factor = factor.masked_fill((failed > 0)[..., None, None], float("nan"))
    return torch.linalg.solve_triangular(factor, centred.mT, upper=False).mT


def check_rows(rows: int, size: int, eps: float) -> None:
    """Raises a ValueError where a covariance of that many rows must be singular."""
    if rows < 2 or (rows <= size and eps == 0):
        raise ValueError(
            f"w_size is {rows} and must be larger than the embedding's size {size}, or its covariance is singular: "
            "raise w_size (and batch_size), lower the neck's out_channels, or set eps=1e-4"
        )


def whiten_groups(rows: Tensor, orders: Tensor, w_size: int, eps: float = 0.0) -> Tensor:
    """Whitens a batch in groups, once for each of several orders, in float32 even under autocast.

    Args:
        rows: (N, D).
        orders: Permutations of the rows, (I, N), int64; each is cut into N / w_size groups.
        w_size: Rows of a group; divides N.
        eps: See :func:`whiten`.

    Returns:
        Whitened rows in the order of ``orders``, (I, N, D), float32 (float64 if ``rows`` is).
    """
    with torch.autocast(rows.device.type, enabled=False):
        exact = rows if rows.dtype == torch.float64 else rows.float()
        groups = exact[orders].view(-1, w_size, rows.shape[1])
        return whiten(groups, eps).reshape(*orders.shape, -1)


def normalized_mse(one: Tensor, other: Tensor) -> Tensor:
    """Squared Euclidean distance of normalised embeddings, ``2 - 2 cos``.

    Args:
        one: (..., D).
        other: Like ``one``.

    Returns:
        (...), in [0, 4].
    """
    return 2 - 2 * (F.normalize(one, dim=-1) * F.normalize(other, dim=-1)).sum(dim=-1)
