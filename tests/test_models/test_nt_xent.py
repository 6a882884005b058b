"""NT-Xent against numbers by hand and a transcription row by row."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mixssl.models.losses import nt_xent


def test_orthogonal_images_by_hand() -> None:
    first = second = torch.eye(2, 4)
    # two negatives at right angles for each anchor, temperature 1/2: log(e^2 + 2) - 2; the wrong pairing has its
    # positive at right angles and the same image among its negatives: log(e^2 + 2)
    right, wrong = nt_xent(first, second, [None, torch.tensor([1, 0])], 0.5)
    expected = math.log(math.exp(2) + 2)
    assert right.tolist() == pytest.approx([expected - 2] * 2, abs=1e-6)
    assert wrong.tolist() == pytest.approx([expected] * 2, abs=1e-6)


def _naive(first: Tensor, second: Tensor, i: int, j: int, temperature: float) -> float:
    """One pair, two anchors, every other row a negative."""
    rows = torch.cat([first, second]).double()
    pair, value = (i, len(first) + j), 0.0
    for anchor, positive in (pair, pair[::-1]):
        others = [k for k in range(len(rows)) if k != anchor]
        logits = torch.stack([rows[anchor] @ rows[k] for k in others]) / temperature
        value -= F.log_softmax(logits, dim=0)[others.index(positive)].item() / 2
    return value


@pytest.mark.parametrize("size", [6, 3])
def test_equals_its_equation_for_any_pairing_and_half_batches(size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (F.normalize(torch.randn(n, 5, generator=generator), dim=1) for n in (size, 6))
    before = first.clone()
    order = torch.tensor([4, 0, 5, 1, 3, 2])[:size]
    (got,) = nt_xent(first.requires_grad_(), second, [order], 0.1)
    expected = [_naive(first, second, i, int(j), 0.1) for i, j in enumerate(order)]
    assert got.tolist() == pytest.approx(expected, abs=2e-6)
    got.sum().backward()
    assert first.grad.isfinite().all() and first.grad.any()
    assert torch.equal(first.detach(), before)


def test_a_small_temperature_neither_overflows_nor_vanishes() -> None:
    first = torch.eye(3, 4).requires_grad_()
    (value,) = nt_xent(first, torch.eye(3, 4), [torch.tensor([1, 2, 0])], 1e-3)
    assert value.tolist() == pytest.approx([1000.0] * 3)
    value.sum().backward()
    assert first.grad.isfinite().all()
