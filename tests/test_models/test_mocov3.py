"""MixMoCoV3 against its mmpretrain parent and against the parent's loss on each pair of views."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from mmengine.optim import OptimWrapper
from support.methods_more import mocov3, mocov3_vit, run_length
from support.tiny import build, sgd, total, train, views
from torch import Tensor
from torch.nn import functional as F

from mixssl.mixing import global_mixture, region_mixture
from mixssl.structures import EmbeddingId, MixedView

UNMIX = {"type": "mixssl.UnMix"}
CONFIGS = pytest.mark.parametrize("config", [mocov3, mocov3_vit])


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    with run_length():
        yield


def _data(step: int) -> dict:
    return {"inputs": views(seed=step), "data_samples": None}


@CONFIGS
def test_without_a_mixer_every_bit_is_the_parents(config: Callable[..., dict]) -> None:
    ours, parent = build(config()), build(config("mmpretrain.MoCoV3"))
    assert ours.state_dict().keys() == parent.state_dict().keys()
    wrappers = [OptimWrapper(sgd(model)) for model in (ours, parent)]
    for step in range(4):
        logs = [m.train_step(_data(step), w) for m, w in zip((ours, parent), wrappers, strict=True)]
        assert torch.equal(logs[0]["loss"], logs[1]["loss"])
        for (name, a), b in zip(
            ours.state_dict().items(), parent.state_dict().values(), strict=True
        ):
            assert torch.equal(a, b), name


@CONFIGS
def test_without_a_mixer_gradients_are_the_parents(config: Callable[..., dict]) -> None:
    ours, parent = build(config()), build(config("mmpretrain.MoCoV3"))
    for model in (ours, parent):
        total(model(views(), mode="loss")).backward()
    for (name, a), b in zip(ours.named_parameters(), parent.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        if a.grad is not None:
            assert torch.equal(a.grad, b.grad), name


def _mixture(kind: str, x: Tensor, source: int = 0) -> MixedView:
    if kind == "global":
        return global_mixture(x, source, torch.tensor([0.3]))
    return region_mixture(x, source, torch.tensor([1 - 56 / 256]), torch.tensor([[3, 2, 11, 9]]))


def _project(model: torch.nn.Module, x: Tensor) -> Tensor:
    return model.neck(model.backbone(x))[0]


@CONFIGS
@pytest.mark.parametrize("kind", ["global", "region"])
def test_with_unmix_the_loss_is_the_parents_on_the_mixture_and_its_reverse(
    config: Callable[..., dict], kind: str
) -> None:
    model, x = build(config(mixer=UNMIX)), views()
    mixtures = [_mixture(kind, x[0])]
    twin = copy.deepcopy(model)
    losses = model(x, mode="loss", mixtures=mixtures)
    twin.update_momentum()
    with torch.no_grad():
        keys = [twin.momentum_encoder(view)[0] for view in x]
    clean = twin.head.loss(_project(twin, x[0]), keys[1]) + twin.head.loss(
        _project(twin, x[1]), keys[0]
    )
    lam, mixed = mixtures[0].lam[0], mixtures[0].images
    mix = lam * twin.head.loss(_project(twin, mixed), keys[1])
    mix = mix + (1 - lam) * twin.head.loss(_project(twin, mixed.flip(0)), keys[1])
    assert losses["loss_clean"].item() == pytest.approx(clean.item(), abs=1e-5)
    assert losses["loss_mix"].item() == pytest.approx(mix.item(), abs=1e-5)
    total(losses).backward()
    (clean + mix).backward()
    for (name, a), b in zip(model.named_parameters(), twin.named_parameters(), strict=True):
        if a.grad is not None:
            scale = b[1].grad.abs().max().clamp_min(1e-3)
            assert (a.grad - b[1].grad).abs().max() <= 1e-3 * scale, name


def _on_pair(model: torch.nn.Module, one: Tensor, other: Tensor) -> Tensor:
    """The parent's loss on two views."""
    with torch.no_grad():
        keys = [model.momentum_encoder(x)[0] for x in (one, other)]
    return model.head.loss(_project(model, one), keys[1]) + model.head.loss(
        _project(model, other), keys[0]
    )


@pytest.mark.parametrize("pairing", ["mutual", "mixed"])
def test_pairs_are_compared_as_the_parent_compares_clean_views(pairing: str) -> None:
    head = {"type": "mixssl.UnMixHead", "pairing": pairing}
    sources = (0,) if pairing == "mutual" else (0, 1)
    model, x = build(mocov3(mixer=UNMIX | {"views": sources}, mix_head=head)), views()
    mixtures = [_mixture("region", x[source], source) for source in sources]
    twin = copy.deepcopy(model)
    got = model(x, mode="loss", mixtures=mixtures)["loss_mix"]
    twin.update_momentum()
    lam, mixed = mixtures[0].lam[0], mixtures[0].images
    if pairing == "mutual":
        expected = lam * _on_pair(twin, mixed, x[1]) + (1 - lam) * _on_pair(
            twin, mixed.flip(0), x[1]
        )
    else:
        expected = _on_pair(twin, mixed, mixtures[1].images)
    assert got.item() == pytest.approx(expected.item(), abs=1e-5)


def test_a_lam_per_row_weighs_each_row() -> None:
    model, x = build(mocov3(mixer=UNMIX)), views(4)
    lam = torch.tensor([0.1, 0.5, 0.8, 1.0])
    mixed = global_mixture(x[0], 0, lam)
    got = model(x, mode="loss", mixtures=[mixed])["loss_mix"]
    query = F.normalize(model.head.predictor([_project(model, mixed.images)])[0], dim=1)
    key = F.normalize(model.momentum_encoder(x[1])[0], dim=1)
    logp = torch.log_softmax((query @ key.t()).double() / 0.2, dim=1)
    expected = -sum(lam[i] * logp[i, i] + (1 - lam[i]) * logp[i, 3 - i] for i in range(4)) / 4 * 0.4
    assert got.item() == pytest.approx(expected.item(), abs=1e-5)


def test_candidates_are_the_keys() -> None:
    model, x = build(mocov3()), views()
    online, target = (F.normalize(v.flatten(1)[:, :5], dim=1) for v in x)
    (block,) = model.candidate_logits(online, target, None)
    assert torch.allclose(block, online @ target.t() / 0.2)
    (block,) = model.candidate_logits(online, target, 0.05)
    assert torch.allclose(block, online @ target.t() / 0.05)


def test_a_mixture_costs_one_online_forward_and_one_prediction() -> None:
    model, calls = build(mocov3(mixer=UNMIX)), []
    for name in ("backbone", "momentum_encoder", "head.predictor"):
        model.get_submodule(name).register_forward_hook(lambda *_, name=name: calls.append(name))
    train(model, 1)
    assert sorted(calls) == sorted(
        ["backbone"] * 3 + ["head.predictor"] * 3 + ["momentum_encoder"] * 2
    )


def test_momentum_moves_once_per_optimizer_step() -> None:
    model = build(mocov3(mixer=UNMIX))
    wrapper = OptimWrapper(sgd(model), accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    steps = []
    for step in range(4):
        model.train_step(_data(step), wrapper)
        steps.append(model.momentum_encoder.steps.item())
    assert steps == [1, 1, 3, 3]  # the cosine goes by forward passes, as the parent's


@CONFIGS
def test_same_seed_same_training_and_a_restored_model_goes_on(config: Callable[..., dict]) -> None:
    cfg = config(mixer=UNMIX)
    model = build(cfg)
    history = torch.stack(train(model, 3))
    assert history.isfinite().all()
    assert torch.equal(history, torch.stack(train(build(cfg), 3)))
    restored = build(cfg, seed=5)
    restored.load_state_dict(model.state_dict())
    assert torch.equal(*(torch.stack(train(one, 2)) for one in (model, restored)))


def test_an_unknown_run_length_is_refused_before_anything_moves() -> None:
    model = build(mocov3())
    with (
        run_length(0),
        pytest.raises(ValueError, match="momentum encoder moves .* over max_iters.*Runner"),
    ):
        model(views(), mode="loss")
    assert model.momentum_encoder.steps.item() == 0


def test_a_soft_term_gets_the_heads_factor() -> None:
    from mixssl.structures import SoftTerm

    model, x = build(mocov3(mixer=UNMIX)), views(4)
    term = SoftTerm(
        EmbeddingId(2), EmbeddingId(1), torch.tensor([[0, 3]] * 4), torch.full((4, 2), 0.5)
    )
    model.mix_head.terms = lambda mixtures, clean: [term]
    (got,) = model.mixture_terms([_mixture("global", x[0])], 2)
    assert got.weight == pytest.approx(0.4)
