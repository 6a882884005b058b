"""What methods share that predict one view's target from another view."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mixssl.structures import Term


def prediction_losses(
    head: Any, online: Tensor, targets: list[Tensor], terms: list[Term]
) -> list[Tensor]:
    """Predicts once and compares the prediction with each target, in fp32.

    Args:
        head: mmpretrain's LatentPredictHead: a predictor, and a loss that is a mean over rows.
        online: Projections, (M, D).
        targets: Targets in the order of the online rows, each (M, D); they receive no gradient.
        terms: One for each target.

    Returns:
        For each term the head's loss: a scalar for whole views, (M,) where rows have weights.
    """
    prediction, losses = head.predictor([online])[0], []
    with torch.autocast(online.device.type, enabled=False):
        for target, term in zip(targets, terms, strict=True):
            rows = isinstance(term.weight, Tensor)
            compare = _by_rows(head.loss_module) if rows else head.loss_module
            losses.append(compare(prediction.float(), target.detach().float()))
    return losses


def _by_rows(loss: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """A loss of every row by itself, (M,), from one that is a mean over rows."""
    return torch.vmap(lambda row, aim: loss(row[None], aim[None]))
