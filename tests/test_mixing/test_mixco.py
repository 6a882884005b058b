"""MixCo's mixtures, pair by pair."""

from __future__ import annotations

import pytest
import torch
from support.tiny import views

from mixssl.mixing import MixCo, halves_mixture


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_halves_are_mixed_pair_by_pair() -> None:
    x = views(6)
    (mixed,) = MixCo()(x, _generator())
    lam = torch.rand(3, generator=_generator(), dtype=torch.float64)
    assert mixed.images.shape == (3, 3, 16, 16)
    assert mixed.index.tolist() == [0, 1, 2] and mixed.partner.tolist() == [3, 4, 5]
    assert (mixed.source, mixed.partner_view) == (0, 0)
    for i in range(3):
        expected = lam[i] * x[0][i] + (1 - lam[i]) * x[0][i + 3]
        assert torch.allclose(mixed.images[i], expected.float(), atol=1e-6)


def test_both_views_share_lam() -> None:
    first, second = MixCo(views=(0, 1))(views(6), _generator())
    assert (first.source, second.source) == (0, 1)
    assert torch.equal(first.lam, second.lam)


def test_lam_is_uniform_and_differs_between_pairs() -> None:
    lam = MixCo()(views(400, 2), _generator())[0].lam
    assert lam.mean().item() == pytest.approx(0.5, abs=0.05)
    assert lam.var().item() == pytest.approx(1 / 12, abs=0.02)


@pytest.mark.parametrize("lam", [0.0, 1.0])
def test_the_ends_of_lam_are_exact(lam: float) -> None:
    x = views(4)[0]
    mixed = halves_mixture(x, 0, torch.full((2,), lam))
    assert torch.equal(mixed.images, x[:2] if lam else x[2:])


def test_an_odd_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="MixCo got a batch of 7 and needs an even one.*drop_last"):
        MixCo()(views(7), _generator())
