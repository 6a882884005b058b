"""MixBYOL against its mmpretrain parent and Un-Mix's Algorithm 1."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from math import cos, pi

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from support.methods import byol
from support.methods_more import run_length
from support.parents import (
    KINDS,
    UNMIX,
    algorithm_1,
    assert_close_gradients,
    assert_same_gradients,
    assert_trains_like,
    batch,
    calls,
    halves,
    mixed_pair,
    mixing,
    mixture,
    parent_of,
)
from support.tiny import build, sgd, total, views
from torch.nn import functional as F

from mixssl.mixing import global_mixture
from mixssl.utils.errors import ConfigError

PARENT = "mmpretrain.BYOL"


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    with run_length():
        yield


def test_without_a_mixer_every_bit_is_the_parents() -> None:
    assert_trains_like(build(byol()), build(byol(PARENT)))
    assert_same_gradients(build(byol()), build(byol(PARENT)))


@pytest.mark.parametrize("kind", KINDS)
def test_mutual_pairing_is_algorithm_1(kind: str) -> None:
    model, x = mixing(byol, "mutual"), views()
    mixed = mixture(kind, x[0])
    parent = parent_of(model, byol, PARENT)
    got = total(model(x, mode="loss", mixtures=[mixed]))
    expected = algorithm_1(parent, x, mixed)
    assert got.item() == pytest.approx(expected.item(), abs=1e-6, rel=1e-6)
    got.backward()
    expected.backward()
    assert_close_gradients(model, parent)


def test_mutual_pairing_follows_any_partner_and_a_lam_per_row() -> None:
    model, x = mixing(byol, "mutual"), views(5)
    lam, partner = torch.tensor([0.1, 0.5, 0.8, 1.0, 0.3]), torch.tensor([2, 0, 4, 1, 3])
    mixed = global_mixture(x[0], 0, lam)
    images = lam.view(-1, 1, 1, 1) * x[0] + (1 - lam).view(-1, 1, 1, 1) * x[0][partner]
    mixed = mixed._replace(images=images, partner=partner)
    twin = copy.deepcopy(model)
    twin.update_momentum()
    got = model(x, mode="loss", mixtures=[mixed])["loss_mix"]

    def predict(images: torch.Tensor) -> torch.Tensor:
        return twin.head.predictor([twin.neck(twin.backbone(images))[0]])[0]

    with torch.no_grad():
        clean, blend = predict(x[1]), predict(mixed.images)
        targets = twin.target_net(x[1])[0], twin.target_net(mixed.images)[0]
    expected = 0.0
    for i in range(5):
        for weight, j in ((lam[i], i), (1 - lam[i], int(partner[i]))):
            there = F.cosine_similarity(blend[i], targets[0][j], dim=0)
            back = F.cosine_similarity(clean[j], targets[1][i], dim=0)
            expected -= 2 * weight.item() * (there + back).item() / 5
    assert got.item() == pytest.approx(expected, abs=2e-6)


def test_cross_pairing_predicts_from_the_mixture_only() -> None:
    model, x = mixing(byol), views()
    mixed = mixture("region", x[0])
    twin = copy.deepcopy(model)
    twin.update_momentum()
    got = model(x, mode="loss", mixtures=[mixed])["loss_mix"]
    prediction = twin.head.predictor([twin.neck(twin.backbone(mixed.images))[0]])[0]
    target = twin.target_net(x[1])[0]
    cosines = [
        F.cosine_similarity(prediction, t, dim=1).mean().item() for t in (target, target.flip(0))
    ]
    lam = mixed.lam[0].item()
    assert got.item() == pytest.approx(-2 * (lam * cosines[0] + (1 - lam) * cosines[1]), abs=1e-6)


def test_both_branches_are_the_parents_loss_of_the_mixtures() -> None:
    model, x = mixing(byol, "mixed"), views()
    mixtures = mixed_pair(model, x)
    expected = parent_of(model, byol, PARENT).loss([m.images for m in mixtures], None)["loss"]
    got = model(x, mode="loss", mixtures=mixtures)["loss_mix"]
    assert got.item() == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize(("pairing", "targets"), [("cross", 2), ("mutual", 3)])
def test_a_view_goes_once_through_each_part(pairing: str, targets: int) -> None:
    model = mixing(byol, pairing)
    counts = calls(
        model,
        online=model.backbone,
        target=model.target_net.module[0],
        predictor=model.head.predictor,
    )
    assert counts == {"online": 3, "target": targets, "predictor": 3}


@pytest.mark.parametrize("pairing", ["cross", "mutual"])
def test_accumulated_gradients_are_those_of_one_batch(pairing: str) -> None:
    model, x = mixing(byol, pairing, frozen=True), views()
    whole_model = copy.deepcopy(model)
    parts, whole = halves(x)
    total(whole_model(x, mode="loss", mixtures=[whole])).backward()
    for part, mixed in parts:
        (total(model(part, mode="loss", mixtures=[mixed])) / 2).backward()
    assert_close_gradients(model, whole_model)


def test_under_accumulation_the_target_moves_once_per_step_and_its_momentum_keeps_pace() -> None:
    model = build(byol(mixer=UNMIX))
    wrapper = OptimWrapper(sgd(model), accumulative_counts=4)
    wrapper.initialize_count_status(model, 0, 12)
    steps = []
    for step in range(9):
        before = model.target_net.module[0].conv1.weight.clone()
        online = model.backbone.conv1.weight.clone()
        model.train_step(batch(step), wrapper)
        steps.append(model.target_net.steps.item())
        if step == 4:
            rate = 0.05 * (cos(pi * 4 / 100) + 1) / 2
            after = (1 - rate) * before + rate * online
            assert torch.allclose(model.target_net.module[0].conv1.weight, after, atol=1e-7)
    assert steps == [1, 1, 1, 1, 5, 5, 5, 5, 9]


def test_a_momentum_that_ends_as_it_begins_is_constant() -> None:
    model = build(byol(base_momentum=0.05, end_momentum=0.05))
    wrapper = OptimWrapper(sgd(model))
    for step in range(3):
        before = model.target_net.module[0].conv1.weight.clone()
        online = model.backbone.conv1.weight.clone()
        model.train_step(batch(step), wrapper)
    after = 0.95 * before + 0.05 * online
    assert torch.allclose(model.target_net.module[0].conv1.weight, after, atol=1e-7)
    with pytest.raises(ConfigError, match=r"end_momentum of MixBYOL is 1\.5 and must lie in"):
        build(byol(end_momentum=1.5))


def test_a_run_of_unknown_length_is_refused_before_anything_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = build(byol())
    monkeypatch.delitem(MessageHub.get_current_instance()._runtime_info, "max_iters")
    with pytest.raises(ValueError, match="momentum encoder moves along a cosine over max_iters"):
        model(views(), mode="loss")
    assert model.target_net.steps.item() == 0
