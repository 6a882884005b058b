"""MixVICReg: figures by hand, a transcription bit by bit, and what counts once."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from support.fixed import fixed_losses
from support.methods import vicreg
from support.methods_more import run_length
from support.tiny import build, total, views
from torch import Tensor
from torch.nn import functional as F

from mixssl.structures import EmbeddingId

ONE = [[1.0, 2.0], [3.0, 0.0], [2.0, 5.0]]
OTHER = [[0.0, 1.0], [4.0, 1.0], [1.0, 4.0]]
UNMIX = {"type": "mixssl.UnMix"}


@pytest.mark.parametrize(
    ("scale", "variance", "expected"),
    [(4, 25.0, 15.113606), (4, 50.0, 28.656900), (1, 25.0, 27.0)],
)
def test_losses_by_hand(scale: int, variance: float, expected: float) -> None:
    """The authors' weights, and solo-learn's, whose variance is not halved; at full scale no variance is missing."""
    z = {n: [[v / scale for v in row] for row in rows] for n, rows in enumerate((ONE, OTHER))}
    losses = fixed_losses(build(vicreg(variance=variance)), [], z, z)
    assert losses["loss_clean"].item() == pytest.approx(expected, abs=1e-5)


def _transcribed(one: Tensor, other: Tensor) -> Tensor:
    """Eq. 6 as the authors' code averages: distance, hinge on deviations, squared covariances."""
    loss = 25.0 * F.mse_loss(one, other)
    for z in (one, other):
        z = z - z.mean(dim=0)
        deviation = (z.var(dim=0) + 1e-4).sqrt()
        covariance = z.T @ z / (len(z) - 1)
        covariance = covariance - covariance.diagonal().diag()
        own = 25.0 / 2 * F.relu(1 - deviation).mean()
        loss = loss + (own + 1.0 * (covariance.square().sum() / z.shape[1]))
    return loss


def test_without_a_mixer_it_is_vicreg_bit_by_bit() -> None:
    model, x = build(vicreg()), views()
    twin = copy.deepcopy(model)
    loss = model(x, mode="loss")
    expected = _transcribed(*(twin.neck(twin.backbone(view))[0] for view in x))
    assert loss.keys() == {"loss_clean"} and torch.equal(loss["loss_clean"], expected)
    loss["loss_clean"].backward()
    expected.backward()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        assert a.grad is not None and torch.equal(a.grad, b.grad)


def _alone(model: Any, x: list[Tensor]) -> dict[EmbeddingId, float]:
    """Weights of the terms that compare an embedding with itself."""
    data = model.data_preprocessor({"inputs": x, "data_samples": None}, True)
    terms = model.plan(data["inputs"], data["mixtures"]).terms
    found: dict[EmbeddingId, float] = {}
    for term in terms:
        if term.targets == (term.online,):
            weight = torch.as_tensor(term.weight).flatten()
            assert torch.allclose(weight, weight[:1].expand_as(weight))
            assert term.online not in found, "once"
            found[term.online] = weight[0].item()
    return found


@pytest.mark.parametrize(
    ("mixer", "head", "expected"),
    [
        (UNMIX, {"type": "mixssl.UnMixHead"}, {0: 1, 1: 1, 2: 1}),
        (UNMIX, {"type": "mixssl.UnMixHead", "pairing": "all", "loss_weight": 0.5}, {0: 1, 1: 1, 2: 0.5}),
        (UNMIX | {"views": (0, 1)}, {"type": "mixssl.UnMixHead", "pairing": "mixed"}, {0: 1, 1: 1, 2: 1, 3: 1}),
        (UNMIX, {"type": "mixssl.UnMixHead", "keep_clean": False}, {1: 1, 2: 1}),
        ({"type": "mixssl.MixUp", "per_sample": True}, {"type": "mixssl.BlendHead"}, {0: 1, 1: 1, 2: 1}),
        ({"type": "mixssl.ScaleMix"}, {"type": "mixssl.ScaleMixHead"}, {1: 1, 2: 1}),
    ],
)  # fmt: skip
def test_variance_and_covariance_count_once(mixer: dict, head: dict, expected: dict) -> None:
    """For each view that takes part: a mixture as it weighs, a clean view for its mixture where its own loss is out."""
    model = build(vicreg(mixer=mixer, mix_head=head))
    x = views(count=2 + model.mixer.extra_views)
    found = _alone(model, x)
    assert {eid.view: weight for eid, weight in found.items()} == pytest.approx(expected)


def test_a_mix_block_learns_of_the_distance_alone() -> None:
    block = {"type": "mixssl.MixBlockPlus", "in_channels": 32, "layer": "layer4"}
    cfg = vicreg(
        mixer={"type": "mixssl.AMix"}, mix_head={"type": "mixssl.AMixHead"}, mix_block=block
    )
    model = build(cfg)
    assert sorted(eid.view for eid in _alone(model, views())) == [0, 1, 2]
    data = model.data_preprocessor({"inputs": views(), "data_samples": None}, True)
    with run_length():
        losses = model(**data, mode="loss")
    total(losses).backward()
    assert losses["loss_block"].isfinite()


def test_negative_weights_are_refused() -> None:
    for name in ("invariance", "variance", "covariance"):
        with pytest.raises(ValueError, match=f"{name} of MixVICReg is -1 and must be >= 0"):
            build(vicreg(**{name: -1}))
