"""Barlow Twins: the embeddings of two views correlate dimension by dimension, and in nothing else."""

from typing import Any

import torch
from mmengine.dist import get_world_size
from mmpretrain.models import BarlowTwins
from torch import Tensor
from torch.nn import functional as F

from mixssl.models.methods.base import MixtureMethod
from mixssl.registry import MODELS
from mixssl.structures import Blend, EmbeddingId, Term, View
from mixssl.utils.distributed import sum_over_devices


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

    A mixture that is compared with the mean of its images (:class:`~mixssl.models.heads.BlendHead`; Mixed Barlow Twins,
    Bandara et al. 2023) correlates with clean views as the mean of their standardised embeddings does: the loss is the
    squared difference of the matrices, summed and weighed as off-diagonal entries are. The variance is the biased one
    with an epsilon, as the parent's; the authors' small-image code takes the unbiased one, so that its entries are
    smaller by 1 - 1/N.

    Args:
        *args: Of mmpretrain's BarlowTwins.
        normalize: Whether embeddings get length one before they are standardised, as in Mixed Barlow Twins' code for
            small images.
        **kwargs: Of mmpretrain's BarlowTwins (backbone, neck, head, data_preprocessor, ...) and ``mix_head``,
            ``joint_bn``.

    Raises:
        ValueError: If the mixer draws a λ per image.
    """

    capabilities = frozenset({"blends"})
    targets_are_online = True

    def __init__(self, *args: Any, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.normalize = normalize

    def clean_terms(self, clean: int) -> list[Term]:
        """Views 0 and 1."""
        return [Term(EmbeddingId(0), EmbeddingId(1))]

    def encode_online(self, views: list[View]) -> dict[EmbeddingId, Tensor]:
        """Embeddings, (M, D), of length one if asked for."""
        found = super().encode_online(views)
        if self.normalize:
            found = {eid: F.normalize(z.float(), dim=1) for eid, z in found.items()}
        return found

    def compare(
        self, online: Tensor, targets: dict[EmbeddingId, Tensor], terms: list[Term]
    ) -> list[Tensor]:
        """The losses of pairs, or of a mixture and the mean of its images."""
        if isinstance(terms[0].target, EmbeddingId):
            return super().compare(online, targets, terms)
        return [self._blended_loss(online, targets, term) for term in terms]

    def _blended_loss(
        self, online: Tensor, targets: dict[EmbeddingId, Tensor], term: Term
    ) -> Tensor:
        """How far the mixture's correlations with clean views are from those of the mean of its images, a scalar."""
        assert isinstance(term.target, Blend)
        with torch.autocast(online.device.type, enabled=False):
            clean = {eid: self.head.bn(targets[eid].float()) for eid in dict.fromkeys(term.targets)}
            # A correlation is linear in either side, so that of the difference is the difference.
            apart = self.head.bn(online.float()) - term.target.of(clean)
            loss = apart.new_zeros(())
            for view in clean.values():
                matrix = apart.T @ view / (len(online) * get_world_size())
                loss = loss + sum_over_devices(matrix).square().sum()
            return loss * self.head.loss_module.lambd

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
