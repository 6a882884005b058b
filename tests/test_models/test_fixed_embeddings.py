"""Losses of mixtures on embeddings that are given: figures computed by hand."""

from __future__ import annotations

import pytest
from support.fixed import KEY, MIXED, QUERY, fixed_losses, fixed_mixture, fixed_moco

UNMIX = {"mixer": {"type": "mixssl.UnMix"}}


def test_the_loss_of_mixmask() -> None:
    model = fixed_moco(**UNMIX)
    mixed = fixed_mixture(0.75, [1, 0])
    losses = fixed_losses(model, [mixed], {0: QUERY, 2: MIXED}, {1: KEY})
    assert losses["loss_clean"].item() == pytest.approx(0.160095, abs=1e-5)
    assert losses["loss_mix"].item() == pytest.approx(0.75 * 3.901498 + 0.25 * 1.719194, abs=1e-5)
    assert sum(losses.values()).item() == pytest.approx(3.516017, abs=1e-5)


def test_a_random_order_pairs_a_mixture_with_its_partners_key() -> None:
    """And not the key with the mixture's partner, which would be 0.045414."""
    query = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]
    key = [[0.0, 1.0], [0.8, 0.6], [1.0, 0.0]]
    mixed = fixed_mixture(0.0, [1, 2, 0])
    losses = fixed_losses(fixed_moco(**UNMIX), [mixed], {0: query, 2: query}, {1: key})
    assert losses["loss_mix"].item() == pytest.approx(0.340343, abs=1e-5)
