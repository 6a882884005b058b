"""What methods share that predict one view's target from another view."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mixssl.structures import Term

__all__ = ["prediction_losses"]


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
    prediction = head.predictor([online])[0]
    with torch.autocast(online.device.type, enabled=False):
        return [
            (_row_losses if isinstance(term.weight, Tensor) else _loss)(
                head.loss_module, prediction.float(), target.detach().float()
            )
            for target, term in zip(targets, terms, strict=True)
        ]


def _loss(loss: nn.Module, prediction: Tensor, target: Tensor) -> Tensor:
    """The loss as it is, a scalar."""
    return loss(prediction, target)


def _row_losses(loss: nn.Module, prediction: Tensor, target: Tensor) -> Tensor:
    """The loss of every row by itself, (M,), for any loss that is a mean over rows."""
    return torch.vmap(lambda row, aim: loss(row[None], aim[None]))(prediction, target)
