"""InfoNCE: one positive, or a soft label, against negatives that several terms share."""

from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.models import ContrastiveHead
from torch import Tensor
from torch.nn import functional as F


def contrastive_loss(head: Any, positive: Tensor, negatives: Tensor) -> Tensor:
    """The loss of a head like mmpretrain's ContrastiveHead; of that one bit by bit, without waiting for the device.

    Args:
        head: The method's; any other one is asked for its ``loss``.
        positive: Similarity with the positive, (M, 1).
        negatives: Similarities with the negatives, (M, K).

    Returns:
        A scalar.
    """
    if type(head).loss is not ContrastiveHead.loss:
        return head.loss(positive, negatives)
    logits = torch.cat([positive, negatives], dim=1)
    logits /= head.temperature
    # mmpretrain makes the labels on the CPU and waits until they have arrived.
    labels = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    return head.loss_module(logits, labels)


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


def with_negative(
    negatives_lse: Tensor, query: Tensor, negative: Tensor, temperature: float
) -> Tensor:
    """Adds to each row's negatives one of its own.

    Args:
        negatives_lse: Log-sum-exp of the negatives' logits so far, (M,).
        query: (M, D), float32.
        negative: (M, D), without gradient.
        temperature: Softmax temperature; must be positive.

    Returns:
        Log-sum-exp of all, (M,).
    """
    own = torch.einsum("nc,nc->n", [query, negative.float()])
    return torch.logaddexp(negatives_lse, own / temperature)


def soft_info_nce(
    blocks: Sequence[Tensor], positives: Tensor, shares: Tensor, log_of_sum: bool = False
) -> Tensor:
    r"""Soft cross-entropy over candidates that lie in several blocks.

    .. math:: -\sum_p w_{ip} \log \frac{e^{s_{i,p}}}{\sum_j e^{s_{ij}}}

    (MixCo, Kim et al. 2020, eq. 3). The blocks are never joined, which would copy the larger one. The authors' code
    takes the logarithm of a softmax, which underflows at their temperature of 0.05; this does not.

    Args:
        blocks: Logits divided by the temperature, each (M, n_b), float32; the positives lie in the first.
        positives: Columns of the first block, (M, P), int64.
        shares: Weight of each positive, (M, P), summing to 1 over P.
        log_of_sum: Whether to take the logarithm of the positives' weighted sum, :math:`-\log \sum_p w_{ip} p_{ip}`, as
            SDMP's code does. No more than the cross-entropy, by Jensen's inequality.

    Returns:
        The loss of each row, (M,).
    """
    total = torch.stack([block.logsumexp(dim=1) for block in blocks], dim=1).logsumexp(dim=1)
    if log_of_sum:
        return total - (blocks[0].gather(1, positives) + shares.log()).logsumexp(dim=1)
    return -(shares * (blocks[0].gather(1, positives) - total[:, None])).sum(dim=1)


def queue_candidates(
    online: Tensor, target: Tensor, queue: Tensor, temperature: float
) -> list[Tensor]:
    """Logits of this device's keys and of the queue, in fp32; no key of another device is among them (MixCo's code).

    Args:
        online: (M, D).
        target: This device's keys, (N, D).
        queue: (D, K).
        temperature: Softmax temperature; must be positive.

    Returns:
        Logits divided by the temperature, (M, N) and (M, K).
    """
    with torch.autocast(online.device.type, enabled=False):
        query = online.float() / temperature
        return [query @ target.float().t(), query @ queue]
