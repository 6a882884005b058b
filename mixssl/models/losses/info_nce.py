"""InfoNCE with a set of negatives that several terms share."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

__all__ = ["info_nce"]


def info_nce(positive: Tensor, negatives_lse: Tensor) -> Tensor:
    r"""Contrasts one positive with negatives whose log-sum-exp is known already.

    .. math:: -\log \frac{e^{p}}{e^{p} + \sum_j e^{n_j}} = \mathrm{softplus}(\mathrm{lse}(n) - p)

    (van den Oord et al. 2018, eq. 4; He et al. 2020, eq. 1). Taking the sum over the negatives as an argument is what
    lets an image's several positives share it. Neither overflow nor cancellation.

    Args:
        positive: Logits of the positives, divided by the temperature, (M,), float32.
        negatives_lse: Log-sum-exp of the negatives' logits, divided by the temperature, (M,), float32.

    Returns:
        The loss of each row, (M,), >= 0.
    """
    return F.softplus(negatives_lse - positive)
