"""Whitening against loops in float64."""

from __future__ import annotations

import math

import pytest
import torch
from support.naive_whitening import naive_whiten
from torch import Tensor

from mixssl.models.losses import normalized_mse, whiten, whiten_groups


def _rows(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=generator, dtype=dtype)
    mix = torch.randn(shape[-1], shape[-1], generator=generator, dtype=dtype)
    return x @ mix + 3


def test_two_columns_by_hand() -> None:
    x = torch.tensor([[[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]])
    variance = 4 / 3  # uncorrelated, so only the scale is left to do
    assert torch.allclose(whiten(x), x / math.sqrt(variance))


@pytest.mark.parametrize("eps", [0.0, 1e-4, 0.3])
def test_it_is_the_naive_one(eps: float) -> None:
    x = _rows(2, 9, 4)
    got = whiten(x, eps)
    for group, expected in zip(got, x, strict=True):
        assert torch.allclose(group.double(), naive_whiten(expected, eps), atol=1e-5)


def test_the_covariance_becomes_the_identity() -> None:
    z = whiten(_rows(3, 32, 6))
    assert torch.allclose(z.mean(dim=1), torch.zeros(3, 6), atol=1e-5)
    assert torch.allclose(z.mT @ z / 31, torch.eye(6).expand(3, -1, -1), atol=1e-4)


def test_gradients_are_right_and_finite() -> None:
    x = _rows(1, 7, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: whiten(v, 1e-3), (x,))


def test_groups_follow_the_orders() -> None:
    x, generator = _rows(12, 3), torch.Generator().manual_seed(1)
    orders = torch.stack([torch.randperm(12, generator=generator) for _ in range(2)])
    before = x.clone()
    got = whiten_groups(x, orders, w_size=6)
    for order, rows in zip(orders, got, strict=True):
        expected = torch.cat([naive_whiten(x[order[:6]]), naive_whiten(x[order[6:]])])
        assert torch.allclose(rows.double(), expected, atol=1e-5)
    assert torch.equal(x, before)


def test_autocast_does_not_reach_it() -> None:
    x, orders = _rows(8, 3), torch.arange(8)[None]
    with torch.autocast("cpu", torch.bfloat16):
        got = whiten_groups(x, orders, 8)
    assert got.dtype == torch.float32
    assert torch.equal(got, whiten_groups(x, orders, 8))


def test_too_few_rows_are_refused_unless_eps_helps() -> None:
    with pytest.raises(
        ValueError, match="w_size is 4 and must be larger than the embedding's size 4.*eps=1e-4"
    ):
        whiten(_rows(1, 4, 4))
    assert whiten(_rows(1, 4, 4), eps=1e-2).isfinite().all()


def test_a_singular_group_becomes_nan_and_leaves_the_others_alone() -> None:
    x = _rows(2, 8, 3)
    x[0] = 1.0
    z = whiten(x)
    assert z[0].isnan().all()
    assert torch.allclose(z[1].double(), naive_whiten(x[1]), atol=1e-5)


def test_normalized_mse_by_hand() -> None:
    one = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    other = torch.tensor([[5.0, 0.0], [0.0, -1.0], [1.0, -1.0]])
    assert torch.allclose(normalized_mse(one, other), torch.tensor([0.0, 4.0, 2.0]), atol=1e-6)
