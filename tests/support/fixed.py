"""Losses of embeddings that are given, so that they can be computed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from support.device import DEVICE
from support.tiny import build, moco, views
from torch import Tensor

from mixssl.structures import EmbeddingId, MixedView

QUERY = [[1.0, 0.0], [0.0, 1.0]]
MIXED = [[0.6, 0.8], [0.8, -0.6]]
KEY = [[0.8, 0.6], [0.0, 1.0]]
QUEUE = [[-1.0, 0.0], [0.6, -0.8]]
"""Two clean queries, two mixtures, two keys of the other view, and a queue of two; the temperature is 0.2."""


def fixed_moco(**changes: Any) -> Any:
    """A MoCo whose queue is the fixed one."""
    model = build(moco(queue_len=2, feat_dim=2, **changes))
    model.queue.copy_(torch.tensor(QUEUE).t())
    return model


def fixed_mixture(lam: float, partner: Sequence[int], **changes: Any) -> MixedView:
    """A mixture of view 0 whose pixels are of no account."""
    rows = len(partner)
    mixed = MixedView(
        images=views(rows)[0],
        source=0,
        partner_view=0,
        index=torch.arange(rows, device=DEVICE),
        partner=torch.tensor(partner, device=DEVICE),
        lam=torch.full((rows,), lam, device=DEVICE),
    )
    return mixed._replace(**changes)


def fixed_losses(
    model: Any,
    mixtures: Sequence[MixedView],
    online: dict[Any, Any],
    targets: dict[Any, Any],
    clean: int = 2,
) -> dict[str, Tensor]:
    """Losses of a step whose embeddings are these, by view, or by view and region."""
    rows = len(next(iter(targets.values())))
    step = model.plan(views(rows, count=clean), list(mixtures))
    step.online, step.targets = _embeddings(online), _embeddings(targets)
    return model.sum_losses(step.terms, step)


def _embeddings(given: dict[Any, Any]) -> dict[EmbeddingId, Tensor]:
    return {
        EmbeddingId(name) if isinstance(name, int) else EmbeddingId(*name): torch.tensor(
            rows, device=DEVICE
        )
        for name, rows in given.items()
    }
