"""i-Mix on MoCo against a naive transcription, and the labels it assigns."""

from __future__ import annotations

import copy

import pytest
import torch
from support.tiny import build, moco, total, train, views
from torch.nn import functional as F

from mixssl.mixing import global_mixture
from mixssl.models.heads import IMixHead, IMixPredictHead
from mixssl.structures import EmbeddingId

CFG = {"mixer": {"type": "mixssl.IMix"}, "mix_head": {"type": "mixssl.IMixHead"}}
LAM = torch.tensor([0.5, 0.6, 0.9, 1.0, 0.7, 0.8, 0.55, 0.95])
PARTNER = torch.tensor([3, 0, 2, 1, 7, 4, 5, 6])


def test_the_loss_is_two_cross_entropies_weighed_by_lam() -> None:
    model, x = build(moco(**CFG)), views()
    mixed = global_mixture(x[0], 0, LAM, PARTNER)
    twin = copy.deepcopy(model)
    twin.update_momentum()
    losses = model(x, mode="loss", mixtures=[mixed])
    assert set(losses) == {"loss_mix"}
    weight = LAM.view(-1, 1, 1, 1)
    query = F.normalize(twin.neck(twin.backbone(weight * x[0] + (1 - weight) * x[0][PARTNER]))[0])
    with torch.no_grad():
        classes = torch.cat([F.normalize(twin.encoder_k(x[1])[0]), twin.queue.t()])
    logits = query @ classes.t() / 0.2
    own = F.cross_entropy(logits, torch.arange(8), reduction="none")
    other = F.cross_entropy(logits, PARTNER, reduction="none")
    expected = (LAM * own + (1 - LAM) * other).mean()
    assert losses["loss_mix"].item() == pytest.approx(expected.item(), abs=1e-6)
    total(losses).backward()
    expected.backward()
    for (name, a), b in zip(model.named_parameters(), twin.parameters(), strict=True):
        if a.grad is not None:
            assert (a.grad - b.grad).abs().max() <= 2e-4 * b.grad.abs().max().clamp_min(1e-3), name


def test_a_step_costs_what_it_costs_without_mixtures_and_fills_the_queue() -> None:
    model, calls = build(moco(**CFG)), {"online": 0, "target": 0}
    model.backbone.register_forward_hook(
        lambda *_: calls.__setitem__("online", calls["online"] + 1)
    )
    model.encoder_k.module[0].register_forward_hook(
        lambda *_: calls.__setitem__("target", calls["target"] + 1)
    )
    train(model, 1)
    assert calls == {"online": 1, "target": 1}
    assert model.queue_ptr.item() == 8
    assert model.encoder_k.steps.item() == 1


def test_a_symmetric_method_mixes_both_views() -> None:
    cfg = moco(**CFG, symmetric=True)
    cfg["data_preprocessor"]["mixer"]["views"] = (0, 1)
    model = build(cfg)
    assert all(torch.isfinite(value) for value in train(model, 3))
    assert model.queue_ptr.item() == 48


def test_the_clean_loss_can_stay() -> None:
    model, x = (
        build(moco(**CFG | {"mix_head": {"type": "mixssl.IMixHead", "keep_clean": True}})),
        views(),
    )
    losses = model(x, mode="loss", mixtures=[global_mixture(x[0], 0, LAM, PARTNER)])
    assert set(losses) == {"loss_clean", "loss_mix"}


def test_without_a_mixture_the_clean_loss_is_the_methods() -> None:
    model = build(moco(mix_head={"type": "mixssl.IMixHead"}))
    assert set(model(views(), mode="loss")) == {"loss_clean"}


def test_the_prediction_form_weighs_both_targets() -> None:
    mixed = global_mixture(views()[0], 0, LAM, PARTNER)
    own, other = IMixPredictHead(loss_weight=2.0).terms([mixed], 2)
    assert (own.online, own.target, own.name) == (EmbeddingId(2), EmbeddingId(1), "loss_mix")
    assert (other.online, other.target) == (EmbeddingId(2), EmbeddingId(1))
    assert torch.equal(own.rows, torch.arange(8)) and torch.equal(other.rows, PARTNER)
    assert torch.allclose(own.weight, 2 * LAM) and torch.allclose(other.weight, 2 - 2 * LAM)


def test_what_can_not_work_is_refused() -> None:
    with pytest.raises(
        ValueError, match="warmup_epochs of IMixHead is 2 and would begin without any"
    ):
        IMixHead(warmup_epochs=2)
    assert IMixHead(warmup_epochs=2, keep_clean=True).weight == 1.0
    with pytest.raises(ValueError, match="temperature of IMixHead is -1.0 and must be > 0"):
        IMixHead(temperature=-1.0)
