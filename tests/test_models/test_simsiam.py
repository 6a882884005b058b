"""MixSimSiam against its mmpretrain parent and Un-Mix's Algorithm 1."""

from __future__ import annotations

import copy

import pytest
import torch
from support.methods import simsiam
from support.parents import (
    KINDS,
    algorithm_1,
    assert_close_gradients,
    assert_same_gradients,
    assert_trains_like,
    calls,
    halves,
    mixed_pair,
    mixing,
    mixture,
    parent_of,
)
from support.tiny import build, total, views
from torch.nn import functional as F

from mixssl.mixing import global_mixture

PARENT = "mmpretrain.SimSiam"


def test_without_a_mixer_every_bit_is_the_parents() -> None:
    assert_trains_like(build(simsiam()), build(simsiam(PARENT)))
    assert_same_gradients(build(simsiam()), build(simsiam(PARENT)))


@pytest.mark.parametrize("kind", KINDS)
def test_mutual_pairing_is_algorithm_1(kind: str) -> None:
    model, x = mixing(simsiam, "mutual"), views()
    mixed = mixture(kind, x[0])
    parent = parent_of(model, simsiam, PARENT)
    got = total(model(x, mode="loss", mixtures=[mixed]))
    expected = algorithm_1(parent, x, mixed)
    assert got.item() == pytest.approx(expected.item(), abs=1e-6)
    got.backward()
    expected.backward()
    assert_close_gradients(model, parent)


def test_cross_pairing_predicts_each_image_of_a_row_by_its_share() -> None:
    model, x = mixing(simsiam), views(4)
    lam = torch.tensor([0.1, 0.5, 0.8, 1.0])
    mixed = global_mixture(x[0], 0, lam)
    twin = copy.deepcopy(model)
    got = model(x, mode="loss", mixtures=[mixed])["loss_mix"]
    prediction = twin.head.predictor([twin.neck(twin.backbone(mixed.images))[0]])[0]
    target = twin.neck(twin.backbone(x[1]))[0]
    expected = 0.0
    for i in range(4):
        for weight, j in ((lam[i], i), (1 - lam[i], 3 - i)):
            cosine = F.cosine_similarity(prediction[i], target[j], dim=0)
            expected -= 0.5 * weight.item() * cosine.item() / 4
    assert got.item() == pytest.approx(expected, abs=1e-6)


def test_both_branches_are_the_parents_loss_of_the_mixtures() -> None:
    model, x = mixing(simsiam, "mixed"), views()
    mixtures = mixed_pair(model, x)
    expected = parent_of(model, simsiam, PARENT).loss([m.images for m in mixtures], None)["loss"]
    got = model(x, mode="loss", mixtures=mixtures)["loss_mix"]
    assert got.item() == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("pairing", ["cross", "mutual"])
def test_a_mixture_costs_one_forward_pass(pairing: str) -> None:
    model = mixing(simsiam, pairing)
    assert calls(model, backbone=model.backbone, predictor=model.head.predictor) == {
        "backbone": 3,
        "predictor": 3,
    }


@pytest.mark.parametrize("pairing", ["cross", "mutual"])
def test_accumulated_gradients_are_those_of_one_batch(pairing: str) -> None:
    model, x = mixing(simsiam, pairing, frozen=True), views()
    whole_model = copy.deepcopy(model)
    parts, whole = halves(x)
    total(whole_model(x, mode="loss", mixtures=[whole])).backward()
    for part, mixed in parts:
        (total(model(part, mode="loss", mixtures=[mixed])) / 2).backward()
    assert_close_gradients(model, whole_model)
