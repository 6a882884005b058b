"""Sinkhorn's codes against mmpretrain's on one process, and against themselves on two."""

from __future__ import annotations

import pytest
import torch
from mmpretrain.models.losses.swav_loss import distributed_sinkhorn
from support.ddp import run_ranks
from torch import Tensor
from torch.nn import functional as F

from mixssl.models.losses import sinkhorn, swapped_prediction


def _scores(rows: int = 16, prototypes: int = 6, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = F.normalize(torch.randn(rows, 5, generator=generator), dim=1)
    return x @ F.normalize(torch.randn(prototypes, 5, generator=generator), dim=1).t()


def _naive(scores: Tensor, iterations: int, epsilon: float) -> Tensor:
    """Rows and columns in turn, number by number."""
    rows, prototypes = scores.shape
    share = [
        [(scores[n, k].double() / epsilon).exp() for n in range(rows)] for k in range(prototypes)
    ]
    for _ in range(iterations):
        share = [[v / sum(line) / prototypes for v in line] for line in share]
        totals = [sum(share[k][n] for k in range(prototypes)) for n in range(rows)]
        share = [[v / totals[n] / rows for n, v in enumerate(line)] for line in share]
    return torch.tensor([[share[k][n] * rows for k in range(prototypes)] for n in range(rows)])


def test_it_is_the_naive_one() -> None:
    scores = _scores(7, 4)
    assert torch.allclose(
        sinkhorn(scores, 3, 0.05).double(), _naive(scores, 3, 0.05).double(), atol=1e-5
    )


def test_two_images_and_two_prototypes_by_hand() -> None:
    codes = sinkhorn(
        torch.tensor([[1.0, 0.0], [0.0, 1.0]]), 3, 1.0
    )  # balanced already: a softmax is left
    high = torch.e / (torch.e + 1)
    assert torch.allclose(codes, torch.tensor([[high, 1 - high], [1 - high, high]]))


@pytest.mark.parametrize("starved", [False, True])
def test_on_one_process_every_bit_is_mmpretrains(starved: bool) -> None:
    scores = _scores()
    if starved:
        scores[:, 2] = -30.0  # its exponentials are all zero
    before = scores.clone()
    got = sinkhorn(scores, 3, 0.05)
    assert torch.equal(got, distributed_sinkhorn(scores, 3, 1, 0.05))
    assert got.isfinite().all()
    assert torch.equal(scores, before)


def test_codes_share_the_images_out_evenly() -> None:
    codes = sinkhorn(_scores(64, 4), 50, 0.05)
    assert torch.allclose(codes.sum(dim=1), torch.ones(64), atol=1e-5)
    assert torch.allclose(codes.sum(dim=0), torch.full((4,), 16.0), atol=1e-2)


def test_reordered_images_get_reordered_codes() -> None:
    scores = _scores()
    assert torch.allclose(
        sinkhorn(scores.flip(0), 3, 0.05), sinkhorn(scores, 3, 0.05).flip(0), atol=1e-6
    )


def test_autocast_does_not_reach_it() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(sinkhorn(_scores(), 3, 0.05), sinkhorn(_scores(), 3, 0.05))
    assert sinkhorn(_scores().bfloat16(), 3, 0.05).dtype == torch.float32


def _both(rank: int) -> dict:
    mine = _scores()[rank * 8 : rank * 8 + 8]
    return {"ours": sinkhorn(mine, 3, 0.05), "parents": distributed_sinkhorn(mine, 3, 2, 0.05)}


def test_two_ranks_get_the_codes_of_one_process_and_mmpretrains_do_not() -> None:
    whole = sinkhorn(_scores(), 3, 0.05)
    ranks = run_ranks(_both)
    ours, parents = (torch.cat([rank[name] for rank in ranks]) for name in ("ours", "parents"))
    assert torch.allclose(ours, whole, atol=1e-6)
    assert (parents - whole).abs().max() > 0.05


def test_swapped_prediction_by_hand() -> None:
    logp = torch.tensor([[0.5, 0.5], [0.9, 0.1]]).log()
    codes = torch.tensor([[0.3, 0.7], [1.0, 0.0]])
    expected = torch.tensor([0.5, 0.9]).log().neg()
    assert torch.allclose(swapped_prediction(logp, codes), expected)
