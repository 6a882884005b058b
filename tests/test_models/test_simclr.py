"""MixSimCLR against its mmpretrain parent and Un-Mix's Algorithm 1."""

from __future__ import annotations

import copy

import pytest
import torch
from support.methods import simclr
from support.parents import (
    KINDS,
    UNMIX,
    algorithm_1,
    assert_close_gradients,
    assert_same_gradients,
    assert_trains_like,
    batch,
    calls,
    freeze_norms,
    mixed_pair,
    mixing,
    mixture,
    parent_of,
)
from support.tiny import build, total, views
from torch import Tensor
from torch.nn import functional as F

from mixssl.mixing import global_mixture
from mixssl.models.losses import nt_xent

PARENT = "mmpretrain.SimCLR"


def test_without_a_mixer_every_bit_is_the_parents() -> None:
    assert_trains_like(build(simclr()), build(simclr(PARENT)))
    assert_same_gradients(build(simclr()), build(simclr(PARENT)))


@pytest.mark.parametrize("pairing", ["cross", "mutual"])
@pytest.mark.parametrize("kind", KINDS)
def test_unmix_is_algorithm_1_up_to_batch_statistics(kind: str, pairing: str) -> None:
    model, x = mixing(simclr, pairing, frozen=True), views()
    mixed = mixture(kind, x[0])
    parent = freeze_norms(parent_of(model, simclr, PARENT))
    got = total(model(x, mode="loss", mixtures=[mixed]))
    expected = algorithm_1(parent, x, mixed)
    assert got.item() == pytest.approx(expected.item(), abs=1e-6, rel=1e-6)
    got.backward()
    expected.backward()
    assert_close_gradients(model, parent)


def _embed(model: torch.nn.Module, images: Tensor) -> Tensor:
    return F.normalize(model.neck(model.backbone(images))[0], dim=1)


def test_a_lam_per_row_weighs_each_pair_with_a_mixture_as_its_own_batch() -> None:
    model, x = mixing(simclr), views(4)
    lam = torch.tensor([0.1, 0.5, 0.8, 1.0])
    mixed = global_mixture(x[0], 0, lam)
    twin = copy.deepcopy(model)
    got = model(x, mode="loss", mixtures=[mixed])["loss_mix"]
    clean = _embed(twin, torch.stack(x, 1).flatten(0, 1))[1::2]
    normal, reverse = nt_xent(_embed(twin, mixed.images), clean, [mixed.index, mixed.partner], 0.2)
    expected = (lam * normal + (1 - lam) * reverse).mean()
    assert got.item() == pytest.approx(expected.item(), abs=1e-6)


def test_joint_statistics_are_those_of_both_views_and_the_mixture() -> None:
    model, x = mixing(lambda **cfg: simclr(joint_bn=True, **cfg)), views()
    mixed = mixture("region", x[0])
    twin = copy.deepcopy(model)
    got = model(x, mode="loss", mixtures=[mixed])["loss_mix"]
    _, clean, blend = _embed(twin, torch.cat([*x, mixed.images])).chunk(3)
    lam = mixed.lam[0]
    normal, reverse = nt_xent(blend, clean, [None, mixed.partner], 0.2)
    assert got.item() == pytest.approx((lam * normal + (1 - lam) * reverse).mean().item(), abs=1e-6)


def test_joint_statistics_need_one_size() -> None:
    model, x = mixing(lambda **cfg: simclr(joint_bn=True, **cfg)), views()
    small = global_mixture(views(size=8)[0], 0, torch.tensor([0.5]))
    with pytest.raises(ValueError, match="joint_bn needs mixtures of view 0's size"):
        model(x, mode="loss", mixtures=[small])


def test_both_branches_are_the_parents_loss_of_the_mixtures() -> None:
    model, x = mixing(simclr, "mixed", frozen=True), views()
    mixtures = mixed_pair(model, x)
    parent = freeze_norms(parent_of(model, simclr, PARENT))
    expected = parent.loss([m.images for m in mixtures], None)["loss"]
    got = model(x, mode="loss", mixtures=mixtures)["loss_mix"]
    assert got.item() == pytest.approx(expected.item(), abs=1e-6)


def test_the_clean_views_are_one_pass_and_a_mixture_another() -> None:
    model = build(simclr(mixer=UNMIX))
    sizes: list[int] = []
    model.backbone.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    assert calls(model, backbone=model.backbone, neck=model.neck) == {"backbone": 2, "neck": 2}
    assert sizes == [16, 8]


def test_the_similarities_of_a_mixture_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, orders = build(simclr(mixer=UNMIX)), []

    def spy(first: Tensor, second: Tensor, found: list, temperature: float) -> list[Tensor]:
        orders.append(len(found))
        return nt_xent(first, second, found, temperature)

    monkeypatch.setattr("mixssl.models.methods.simclr.nt_xent", spy)
    model(**model.data_preprocessor(batch(), True), mode="loss")
    assert orders == [2]


@pytest.mark.parametrize("temperature", [None, 0.05])
def test_candidates_are_the_other_views_embeddings(temperature: float | None) -> None:
    model = build(simclr())
    generator = torch.Generator().manual_seed(0)
    online, target = (torch.randn(n, 8, generator=generator) for n in (3, 6))
    (logits,) = model.candidate_logits(online, target, temperature)
    expected = [[(q * k).sum().item() / (temperature or 0.2) for k in target] for q in online]
    for got, row in zip(logits.tolist(), expected, strict=True):
        assert got == pytest.approx(row, rel=1e-5, abs=1e-5)
