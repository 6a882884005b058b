"""InfoNCE with a set of negatives that several terms share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["info_nce", "soft_info_nce"]


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


def soft_info_nce(blocks: Sequence[Tensor], positives: Tensor, shares: Tensor) -> Tensor:
    r"""Soft cross-entropy over candidates that lie in several blocks.

    .. math:: -\sum_p w_{ip} \log \frac{e^{s_{i,p}}}{\sum_j e^{s_{ij}}}

    (MixCo, Kim et al. 2020, eq. 3). The blocks are never joined, which would copy the larger one. The authors' code
    takes the logarithm of a softmax, which underflows at their temperature of 0.05; this does not.

    Args:
        blocks: Logits divided by the temperature, each (M, n_b), float32; the positives lie in the first.
        positives: Columns of the first block, (M, P), int64.
        shares: Weight of each positive, (M, P), summing to 1 over P.

    Returns:
        The loss of each row, (M,).
    """
    total = torch.stack([block.logsumexp(dim=1) for block in blocks], dim=1).logsumexp(dim=1)
    return -(shares * (blocks[0].gather(1, positives) - total[:, None])).sum(dim=1)
