"""The maths of losses, as pure functions."""

from mixssl.models.losses.info_nce import (
    contrastive_loss,
    info_nce,
    queue_candidates,
    soft_info_nce,
    with_negative,
)
from mixssl.models.losses.nt_xent import nt_xent
from mixssl.models.losses.overlap import overlap_shares
from mixssl.models.losses.relations import divergence, token_divergence
from mixssl.models.losses.sinkhorn import sinkhorn, swapped_prediction
from mixssl.models.losses.two_way import two_way_cross_entropy
from mixssl.models.losses.whitening import check_rows, normalized_mse, whiten, whiten_groups

__all__ = [
    "check_rows",
    "contrastive_loss",
    "divergence",
    "info_nce",
    "normalized_mse",
    "nt_xent",
    "overlap_shares",
    "queue_candidates",
    "sinkhorn",
    "soft_info_nce",
    "swapped_prediction",
    "token_divergence",
    "two_way_cross_entropy",
    "whiten",
    "whiten_groups",
    "with_negative",
]
