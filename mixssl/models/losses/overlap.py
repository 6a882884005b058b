"""How much of what two mixtures show is the same."""

import torch
from torch import Tensor


def overlap_shares(index: Tensor, partner: Tensor, lam: Tensor) -> Tensor:
    r"""Soft labels of mixtures against other mixtures of the same images.

    .. math:: P_{ij} = O_{ij} / \sum_j O_{ij}, \qquad O_{ij} = \sum_k \min(w_{ik}, w_{jk})

    with :math:`w_{ik}` the share of image k in mixture i (Ren et al. 2022, SDMP; Shen et al. 2023, PatchMix, which for
    halves is 1/2 for a mixture itself and 1/4 for each neighbour). A row may have its own image as partner.

    Args:
        index: Own image of each mixture, (M,), int64.
        partner: Image mixed into each, (M,), int64.
        lam: Share of the own image, (M,), in [0, 1].

    Returns:
        (M, M), in the dtype of ``lam``, rows summing to 1.
    """

    def shares_of(images: Tensor) -> Tensor:
        """What every mixture j shows of image k, (K, M)."""
        own = torch.where(images[:, None] == index, lam, 0)
        return own + torch.where(images[:, None] == partner, 1 - lam, 0)

    same = index == partner
    first = torch.minimum(torch.where(same, 1, lam)[:, None], shares_of(index))
    second = torch.minimum(torch.where(same, 0, 1 - lam)[:, None], shares_of(partner))
    overlap = first + second
    return overlap / overlap.sum(dim=1, keepdim=True)
