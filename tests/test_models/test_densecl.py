"""MixDenseCL against its mmpretrain parent, its hook included, and with mixtures of its global branch."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmpretrain.engine.hooks import DenseCLHook
from support.methods_more import densecl
from support.tiny import build, sgd, total, train, views
from torch import Tensor
from torch.nn import functional as F

from mixssl.mixing import global_mixture, region_mixture
from mixssl.structures import MixedView

UNMIX = {"type": "mixssl.UnMix"}


def _data(step: int) -> dict:
    return {"inputs": views(seed=step), "data_samples": None}


def test_without_a_mixer_and_under_the_hook_every_bit_is_the_parents() -> None:
    models = build(densecl()), build(densecl("mmpretrain.DenseCL"))
    assert models[0].state_dict().keys() == models[1].state_dict().keys()
    runs = []
    for model in models:
        hook, runner = DenseCLHook(start_iters=2), SimpleNamespace(model=model, iter=0)
        hook.before_train(runner)
        runs.append((model, OptimWrapper(sgd(model)), hook, runner))
    for step in range(4):
        logs = []
        for model, wrapper, hook, runner in runs:
            runner.iter = step
            hook.before_train_iter(runner, step)
            torch.manual_seed(step)
            logs.append(model.train_step(_data(step), wrapper))
        assert logs[0].keys() == logs[1].keys()
        assert all(torch.equal(logs[0][name], value) for name, value in logs[1].items())
        assert (logs[0]["loss_dense"] == 0) == (step < 2)
        for (name, a), b in zip(
            models[0].state_dict().items(), models[1].state_dict().values(), strict=True
        ):
            assert torch.equal(a, b), name


@pytest.mark.parametrize("loss_lambda", [0.5, 0.3])
def test_without_a_mixer_gradients_are_the_parents(loss_lambda: float) -> None:
    models = [
        build(densecl(name, loss_lambda=loss_lambda))
        for name in ("mixssl.MixDenseCL", "mmpretrain.DenseCL")
    ]
    for model in models:
        torch.manual_seed(9)
        total(model(views(), mode="loss")).backward()
    for (name, a), b in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        if a.grad is not None:
            assert torch.equal(a.grad, b.grad), name


def _mixture(kind: str, x: Tensor, source: int = 0) -> MixedView:
    if kind == "global":
        return global_mixture(x, source, torch.tensor([0.3]))
    return region_mixture(x, source, torch.tensor([1 - 56 / 256]), torch.tensor([[3, 2, 11, 9]]))


def _contrast(model: torch.nn.Module, images: Tensor, other: Tensor) -> Tensor:
    """MoCo's loss of two batches in fp64, one row after the other."""
    query = F.normalize(model.neck(model.backbone(images))[0], dim=1)
    with torch.no_grad():
        key = F.normalize(model.encoder_k(other)[0], dim=1)
    rows = []
    for q, k in zip(query, key, strict=True):
        logits = torch.cat([(q * k).sum()[None], model.queue.t() @ q]) / model.head.temperature
        rows.append(-F.log_softmax(logits.double(), dim=0)[0])
    return torch.stack(rows).mean()


@pytest.mark.parametrize("loss_lambda", [0.5, 0.0, 0.25])
@pytest.mark.parametrize("kind", ["global", "region"])
def test_with_unmix_the_global_branch_sees_the_mixture_and_its_reverse(
    kind: str, loss_lambda: float
) -> None:
    model, x = build(densecl(mixer=UNMIX, loss_lambda=loss_lambda)), views()
    mixed = _mixture(kind, x[0])
    twin = copy.deepcopy(model)
    losses = model(x, mode="loss", mixtures=[mixed])
    assert set(losses) == {"loss_single", "loss_dense", "loss_mix"}
    twin.update_momentum()
    lam = mixed.lam[0]
    clean = _contrast(twin, x[0], x[1])
    mix = lam * _contrast(twin, mixed.images, x[1])
    mix = mix + (1 - lam) * _contrast(twin, mixed.images.flip(0), x[1])
    assert losses["loss_single"].item() == pytest.approx((1 - loss_lambda) * clean.item(), abs=1e-5)
    assert losses["loss_mix"].item() == pytest.approx((1 - loss_lambda) * mix.item(), abs=1e-5)


def test_the_dense_branch_does_not_notice_a_mixture() -> None:
    model, x = build(densecl(mixer=UNMIX)), views()
    twin = copy.deepcopy(model)
    torch.manual_seed(0)
    with_mixture = model(x, mode="loss", mixtures=[_mixture("region", x[0])])
    torch.manual_seed(0)
    without = twin(x, mode="loss")
    for name, value in without.items():
        assert torch.equal(value, with_mixture[name]), name


@pytest.mark.parametrize("pairing", ["all", "mutual", "mixed"])
def test_other_pairings(pairing: str) -> None:
    head = {"type": "mixssl.UnMixHead", "pairing": pairing}
    sources = (0, 1) if pairing == "mixed" else (0,)
    model, x = build(densecl(mixer=UNMIX | {"views": sources}, mix_head=head)), views()
    mixtures = [_mixture("region", x[source], source) for source in sources]
    twin = copy.deepcopy(model)
    got = model(x, mode="loss", mixtures=mixtures)["loss_mix"]
    twin.update_momentum()
    lam, mixed = mixtures[0].lam[0], mixtures[0].images
    if pairing == "mixed":
        expected = _contrast(twin, mixed, mixtures[1].images)
    else:
        expected = sum(
            lam * _contrast(twin, mixed, other) + (1 - lam) * _contrast(twin, mixed.flip(0), other)
            for other in (x if pairing == "all" else x[1:])
        )
    assert got.item() == pytest.approx(0.5 * expected.item(), abs=1e-5)


def test_both_queues_and_the_momentum_move_once_per_optimizer_step() -> None:
    model = build(densecl(mixer=UNMIX))
    wrapper = OptimWrapper(sgd(model), accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    seen = []
    for step in range(4):
        model.train_step(_data(step), wrapper)
        seen.append((model.queue_ptr.item(), model.queue2_ptr.item(), model.encoder_k.steps.item()))
    assert seen == [(0, 0, 1), (16, 16, 1), (16, 16, 2), (32, 32, 2)]


def test_the_queues_hold_clean_keys() -> None:
    model, x = build(densecl(mixer=UNMIX)), views()
    optimizer = sgd(model)
    total(model(x, mode="loss", mixtures=[_mixture("region", x[0])])).backward()
    keys = model.encoder_k(x[1])
    optimizer.step()
    assert torch.allclose(model.queue[:, :8], F.normalize(keys[0], dim=1).t(), atol=1e-5)
    assert torch.allclose(model.queue2[:, :8], F.normalize(keys[2], dim=1).t(), atol=1e-5)


def test_the_queues_are_fed_also_where_mixtures_take_the_place_of_the_clean_loss() -> None:
    model = build(densecl(mixer={"type": "mixssl.IMix"}, mix_head={"type": "mixssl.IMixHead"}))
    train(model, 2)
    assert model.queue_ptr.item() == model.queue2_ptr.item() == 16


def test_a_mixture_in_place_of_the_clean_loss_leaves_the_dense_one() -> None:
    cfg = densecl(mixer={"type": "mixssl.IMix"}, mix_head={"type": "mixssl.IMixHead"})
    model, x = build(cfg), views()
    twin = copy.deepcopy(model)
    losses = model(x, mode="loss", mixtures=[_mixture("global", x[0])])
    assert set(losses) == {"loss_dense", "loss_mix"}
    assert torch.equal(losses["loss_dense"], twin(x, mode="loss")["loss_dense"])
    total(losses).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_what_is_kept_without_an_optimizer_is_bounded() -> None:
    model = build(densecl())
    for step in range(12):
        model(views(seed=step), mode="loss")
    assert sum(len(whole) for whole, _ in model._staged) == model.queue_len


def test_same_seed_same_training_and_a_restored_model_goes_on() -> None:
    cfg = densecl(mixer=UNMIX)
    runs = []
    for _ in range(2):
        model = build(cfg)
        torch.manual_seed(1)
        runs.append(torch.stack(train(model, 3)))
    assert runs[0].isfinite().all()
    assert torch.equal(*runs)
    restored = build(cfg, seed=5)
    restored.load_state_dict(model.state_dict())
    histories = []
    for one in (model, restored):
        torch.manual_seed(2)
        histories.append(torch.stack(train(one, 2)))
    assert torch.equal(*histories)


def test_a_batch_that_does_not_divide_the_queue_is_refused_before_anything_moves() -> None:
    model = build(densecl())
    with pytest.raises(
        ValueError, match="queue_len is 64 and must be a multiple of the total batch 6"
    ):
        model(views(6), mode="loss")
    assert model.encoder_k.steps.item() == 0


def test_joint_batch_normalisation_is_refused() -> None:
    with pytest.raises(ValueError, match="joint_bn of MixDenseCL is True and must be False"):
        build(densecl(mixer=UNMIX, joint_bn=True))
