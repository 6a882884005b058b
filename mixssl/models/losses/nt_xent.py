"""NT-Xent of two views, paired in more than one way."""

from collections.abc import Sequence

import torch
from mmengine.dist import get_rank
from torch import Tensor

from mixssl.utils.distributed import gather_rows


def nt_xent(
    first: Tensor, second: Tensor, orders: Sequence[Tensor | None], temperature: float
) -> list[Tensor]:
    r"""Contrasts the rows of two views with each other and with all other rows of both.

    .. math:: \frac12 \left(-\log\frac{e^{s_{ij}}}{\sum_{k \ne i} e^{s_{ik}}}
              - \log\frac{e^{s_{ji}}}{\sum_{k \ne j} e^{s_{jk}}}\right)

    for row i of the first view and its pair j in the second, k over the rows of both views on all devices (SimCLR, Chen
    et al. 2020, eq. 1). The denominators do not depend on who is paired with whom, so they are computed once for all
    orders.

    Args:
        first: Normalised embeddings, (M, D), float32; M the same on all devices.
        second: Normalised embeddings, (N, D), float32; N the same on all devices.
        orders: Pairings: row of the second view for each of the first, (M,), int64; None for the identity.
        temperature: Of the softmax, > 0.

    Returns:
        For each pairing the loss of each row of the first view, averaged over its two anchors, (M,).
    """
    anchors = torch.cat([first, second])
    logits = anchors @ gather_rows(anchors).t() / temperature
    logits.diagonal(get_rank() * len(anchors)).fill_(-torch.inf)
    left, right = logits.logsumexp(dim=1).split([len(first), len(second)])
    losses = []
    for order in orders:
        paired, denominator = (second, right) if order is None else (second[order], right[order])
        positive = (first * paired).sum(dim=1) / temperature
        losses.append((left + denominator) / 2 - positive)
    return losses
