"""Losses of mixtures on embeddings that are given: figures computed by hand."""

from __future__ import annotations

import pytest
import torch
from support.device import DEVICE
from support.fixed import KEY, MIXED, QUERY, fixed_losses, fixed_mixture, fixed_moco
from support.methods import barlowtwins, simsiam
from support.tiny import build, views

from mixssl.structures import EmbeddingId, select

pytestmark = pytest.mark.device
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


def test_fastsiam_predicts_the_mean_of_the_other_views_as_they_are() -> None:
    """Three views of one image each; normalised projections would give -0.584464."""
    model = build(simsiam(num_views=3))
    model.head.predictor = torch.nn.Identity()
    online = {0: [[1.0, 0.0]], 1: [[0.0, 1.0]], 2: [[0.6, 0.8]]}
    targets = {0: [[2.0, 0.0]], 1: [[0.0, 1.0]], 2: [[3.0, 4.0]]}
    model.eval()  # a batch of one
    losses = fixed_losses(model, [], online, targets, clean=3)
    assert losses["loss_clean"].item() == pytest.approx(-0.677873, abs=1e-5)


def test_the_mean_key_is_that_of_the_projections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Normalised first it would be [0.707107, 0.707107]."""
    model = fixed_moco(key_views=2)
    raw = torch.tensor(
        [[2.0, 0.0], [0.0, 1.0]], device=DEVICE
    )  # of view 1, then of view 2: one batch of two
    monkeypatch.setattr(model, "embed", lambda views, *_, **__: {EmbeddingId(1): raw})
    x = views(1, count=3)
    (term,) = model.clean_terms(3)
    keys = model.encode_target(select(model.plan(x).views, term.targets), {})
    assert keys[term.target].tolist()[0] == pytest.approx([0.894427, 0.447214], abs=1e-6)
    model.stage(keys)
    staged = model._staged["queue"].popleft()
    assert staged[0].tolist() == pytest.approx([0.894427, 0.447214], abs=1e-6)


class _Standardised(torch.nn.Module):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return (z - z.mean(dim=0)) / z.std(dim=0)


def test_mixed_barlow_twins() -> None:
    """With the unbiased deviation that the authors' code divides by."""
    head = {"type": "mixssl.BlendHead", "pairing": "own", "loss_weight": 4.0}
    mixer = {"type": "mixssl.MixUp", "partner_view": 1}
    model = build(barlowtwins(mixer=mixer, mix_head=head))
    model.head.loss_module.lambd = 0.5
    model.head.bn = _Standardised()
    z0, z1 = [[1.0, 2.0], [3.0, 0.0], [2.0, 5.0]], [[0.0, 1.0], [4.0, 1.0], [1.0, 4.0]]
    embeddings = {0: z0, 1: z1, 2: [[2.0, 1.0], [1.0, 3.0], [0.0, 0.0]]}
    mixed = fixed_mixture(0.25, [2, 0, 1], partner_view=1)
    losses = fixed_losses(model, [mixed], embeddings, embeddings)
    assert losses["loss_clean"].item() == pytest.approx(0.279950 + 0.5 * 0.179937, abs=1e-5)
    assert losses["loss_mix"].item() == pytest.approx(9.156324, abs=1e-5)


REGIONCL = {"mixer": {"type": "mixssl.RegionCL"}, "mix_head": {"type": "mixssl.RegionCLHead"}}


def test_the_loss_of_regioncl() -> None:
    """Both regions of two rows against their images' keys, the queue and each other."""
    model = fixed_moco(**REGIONCL)
    mixed = fixed_mixture(0.5, [1, 0])
    online = {0: QUERY, (2, "canvas"): QUERY, (2, "paste"): MIXED}
    losses = fixed_losses(model, [mixed], online, {1: KEY})
    assert losses["loss_clean"].item() == pytest.approx(0.160095, abs=1e-5)
    assert losses["loss_region"].item() == pytest.approx(1.077320, abs=1e-5)
    assert losses["loss_region"].item() == pytest.approx((0.279343 + 1.875297) / 2, abs=1e-5)
    model.mix_head.other_region = False
    assert fixed_losses(model, [mixed], online, {1: KEY})["loss_region"] < losses["loss_region"]
