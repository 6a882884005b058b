"""Barlow Twins: the embeddings of two views correlate dimension by dimension, and in nothing else."""

from __future__ import annotations

import torch
from mmengine.dist import get_world_size
from mmpretrain.models import BarlowTwins
from torch import Tensor

from mixssl.models.methods.base import MixtureMethod
from mixssl.registry import MODELS
from mixssl.structures import EmbeddingId, Term
from mixssl.utils.distributed import sum_over_devices

__all__ = ["MixBarlowTwins"]


@MODELS.register_module()
class MixBarlowTwins(MixtureMethod, BarlowTwins):
    """mmpretrain's Barlow Twins with mixtures (Zbontar et al. 2021).

    The loss is one of the batch, not of its rows: a mixture in its normal and in its reverse order gives two
    cross-correlations with the other view, whose losses are weighed by λ and 1 - λ (Un-Mix, Shen et al. 2020, eq. 5),
    so the mixer must draw one λ per batch. The loss of a pair has both directions: pairing="cross" and "mutual" are the
    same.

    On one process and without a mixer the parent, bit by bit. Across devices the parent sums the matrix in a way that
    gradients don't pass, so its gradient is too small by the number of devices; here it is that of one process on the
    whole batch. Embeddings are standardised with the statistics of the device, as the parent does, unless the model's
    batch normalisation is synchronised. The matrix is computed in fp32.

    Args:
        *args: Of mmpretrain's BarlowTwins.
        **kwargs: Of mmpretrain's BarlowTwins (backbone, neck, head, data_preprocessor, ...) and ``mix_head``,
            ``joint_bn``.

    Raises:
        ValueError: If the mixer draws a λ per image.
    """

    capabilities = frozenset()
    targets_are_online = True

    def clean_terms(self, clean: int) -> list[Term]:
        """Views 0 and 1."""
        return [Term(EmbeddingId(0), EmbeddingId(1))]

    def pair_losses(self, online: Tensor, targets: list[Tensor], terms: list[Term]) -> list[Tensor]:
        """The head's loss of the cross-correlation over all devices, a scalar for each target."""
        losses = []
        with torch.autocast(online.device.type, enabled=False):
            first = self.head.bn(online.float())
            for target in targets:
                matrix = first.T @ self.head.bn(target.float())
                matrix = matrix.div_(len(online) * get_world_size())
                losses.append(self.head.loss_module(sum_over_devices(matrix)))
        return losses
