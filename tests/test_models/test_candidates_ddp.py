"""Soft targets over the candidates of two devices are those of one process on the whole batch."""

from __future__ import annotations

import torch
from support.ddp import run_ranks
from support.methods import METHODS
from support.tiny import build
from torch import Tensor
from torch.nn import functional as F

from mixssl.models.losses import soft_info_nce

ROWS, DIM, WORLD = 6, 8, 2


def _embeddings() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mixtures and targets of both devices; each device's mixtures are of its own images, as MixCo's are."""
    generator = torch.Generator().manual_seed(0)
    online = F.normalize(torch.randn(WORLD, ROWS // 2, DIM, generator=generator), dim=-1)
    target = F.normalize(torch.randn(WORLD, ROWS, DIM, generator=generator), dim=-1)
    lam = torch.rand(WORLD, ROWS // 2, generator=generator)
    first = torch.arange(ROWS // 2)
    return (
        online,
        target,
        torch.stack([first, first + ROWS // 2], 1),
        torch.stack([lam, 1 - lam], -1),
    )


def _on_a_rank(rank: int) -> dict[str, Tensor]:
    online, target, positives, shares = _embeddings()
    mine, keys = (whole[rank].clone().requires_grad_() for whole in (online, target))
    blocks = build(METHODS["MixSimCLR"]()).candidate_logits(mine, keys, 0.5)
    loss = soft_info_nce(blocks, positives, shares[rank]).mean()
    loss.backward()
    return {"loss": loss.detach(), "online": mine.grad, "target": keys.grad}


def test_two_devices_are_one_process_on_the_whole_batch() -> None:
    ranks = run_ranks(_on_a_rank)
    online, target, positives, shares = _embeddings()
    online.requires_grad_()
    target.requires_grad_()
    offsets = torch.arange(WORLD).view(-1, 1, 1) * ROWS
    log_p = F.log_softmax(online.flatten(0, 1) @ target.flatten(0, 1).t() / 0.5, dim=1)
    picked = log_p.gather(1, (positives + offsets).flatten(0, 1))
    whole = -(shares.flatten(0, 1) * picked).sum(1).mean()
    whole.backward()
    losses = torch.stack([rank["loss"] for rank in ranks])
    assert torch.allclose(losses.mean(), whole, atol=1e-6)
    for name, value in (("online", online), ("target", target)):
        # Wrappers average over devices what each of them sums up, hence the factor.
        ours = torch.stack([rank[name] for rank in ranks]) / WORLD
        assert torch.allclose(ours, value.grad, atol=1e-6), name
