"""MixSwAV against its mmpretrain parent, its hook included, and against a naive transcription with mixtures."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmpretrain.engine.hooks import SwAVHook
from mmpretrain.models.losses.swav_loss import distributed_sinkhorn
from support.methods_more import swav
from support.tiny import DIM, build, sgd, total, train, views
from torch import Tensor
from torch.nn import functional as F

from mixssl.mixing import global_mixture, region_mixture
from mixssl.structures import MixedView

UNMIX = {"type": "mixssl.UnMix"}
MULTI = [2, 3]


def _crops(step: int, num_crops: list[int], batch: int = 8) -> list[Tensor]:
    """Two crops of 16 pixels and, where asked for, small ones of 8."""
    small = views(batch, 8, seed=100 + step, count=num_crops[1]) if len(num_crops) > 1 else []
    return views(batch, 16, seed=step) + small


def _pair(num_crops: list[int]) -> tuple[torch.nn.Module, torch.nn.Module]:
    return build(swav(num_crops=num_crops)), build(swav("mmpretrain.SwAV", num_crops=num_crops))


@pytest.mark.parametrize("num_crops", [[2], MULTI])
def test_without_a_mixer_gradients_are_the_parents(num_crops: list[int]) -> None:
    models = _pair(num_crops)
    for model in models:
        total(model(_crops(9, num_crops), mode="loss")).backward()
    for (name, a), b in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), name


@pytest.mark.parametrize("num_crops", [[2], MULTI])
def test_without_a_mixer_and_under_the_hook_every_bit_is_the_parents(
    num_crops: list[int], tmp_path: Path
) -> None:
    models = _pair(num_crops)
    assert models[0].state_dict().keys() == models[1].state_dict().keys()
    runs = []
    for name, model in zip(("ours", "parent"), models, strict=True):
        (tmp_path / name).mkdir()
        runner = SimpleNamespace(
            model=model, work_dir=str(tmp_path / name), epoch=0, iter=0, world_size=1
        )
        hook = SwAVHook(
            batch_size=8,
            epoch_queue_starts=1,
            feat_dim=DIM,
            queue_length=20,
            frozen_layers_cfg={"prototypes": 2},
        )
        hook.before_run(runner)
        runs.append((model, OptimWrapper(sgd(model)), runner, hook))
    for epoch in range(3):
        for *_, runner, hook in runs:
            runner.epoch = epoch
            hook.before_train_epoch(runner)
        for step in range(4):
            logs = []
            for model, wrapper, runner, hook in runs:
                hook.before_train_iter(runner, step)
                data = {"inputs": _crops(4 * epoch + step, num_crops), "data_samples": None}
                logs.append(model.train_step(data, wrapper)["loss"])
                runner.iter += 1
            assert torch.equal(*logs), (epoch, step)
            losses = [model.head.loss_module for model in models]
            assert losses[0].use_queue == losses[1].use_queue
            if epoch:
                assert losses[0].queue.shape[1] == 16
                assert torch.equal(losses[0].queue, losses[1].queue)
            for (name, a), b in zip(
                models[0].state_dict().items(), models[1].state_dict().values(), strict=True
            ):
                assert torch.equal(a, b), name
        for *_, runner, hook in runs:
            hook.after_train_epoch(runner)
    assert losses[0].use_queue
    files = [torch.load(tmp_path / name / "queue.pth")["queue"] for name in ("ours", "parent")]
    assert torch.equal(*files)


# -- mixtures, naively ------------------------------------------------------------------------------------------------


def _mixture(kind: str, x: Tensor, source: int = 0) -> MixedView:
    if kind == "global":
        return global_mixture(x, source, torch.tensor([0.3]))
    size = x.shape[-1]
    box = torch.tensor([[3, 2, 7, 5]])
    return region_mixture(x, source, torch.tensor([1 - 12 / size**2]), box)


def _scores(model: torch.nn.Module, images: list[Tensor]) -> list[Tensor]:
    """Scores of views that share one batch in the backbone where they have one size."""
    maps, rest = [], list(images)
    while rest:
        same = [x for x in rest if x.shape == rest[0].shape]
        maps.append(model.backbone(torch.cat(same)))
        rest = rest[len(same) :]
    weight = F.normalize(model.head.loss_module.prototypes.weight, dim=1)
    return list((model.neck(maps) @ weight.t()).chunk(len(images)))


def _predict(scores: Tensor, code: Tensor) -> Tensor:
    rows = [
        -(q * F.log_softmax(s.double() / 0.1, dim=0)).sum()
        for s, q in zip(scores, code, strict=True)
    ]
    return torch.stack(rows).mean()


def _codes(scores: Tensor) -> Tensor:
    return distributed_sinkhorn(scores.detach(), 3, 1, 0.05)


@pytest.mark.parametrize("num_crops", [[2], MULTI])
@pytest.mark.parametrize("kind", ["global", "region"])
def test_with_unmix_a_mixture_and_its_reverse_predict_the_other_views_codes(
    kind: str, num_crops: list[int]
) -> None:
    model, x = build(swav(mixer=UNMIX, num_crops=num_crops)), _crops(0, num_crops)
    mixed = _mixture(kind, x[0])
    twin = copy.deepcopy(model)
    losses = model(x, mode="loss", mixtures=[mixed])
    assert set(losses) == {"loss_clean", "loss_mix"}
    code = _codes(_scores(twin, x)[1])
    lam = mixed.lam[0]
    (forth,), (back,) = (_scores(twin, [images]) for images in (mixed.images, mixed.images.flip(0)))
    expected = lam * _predict(forth, code) + (1 - lam) * _predict(back, code)
    assert losses["loss_mix"].item() == pytest.approx(expected.item(), abs=1e-5)
    losses["loss_mix"].backward()
    expected.backward()
    for (name, a), b in zip(
        model.backbone.named_parameters(), twin.backbone.parameters(), strict=True
    ):
        assert (a.grad - b.grad).abs().max() <= 1e-3 * b.grad.abs().max().clamp_min(1e-3), name


def test_a_small_mixture_predicts_both_codes_and_keeps_its_own_lam() -> None:
    model, x = build(swav(mixer=UNMIX, num_crops=MULTI)), _crops(0, MULTI)
    mixtures = [
        global_mixture(x[0], 0, torch.tensor([0.8])),
        global_mixture(x[2], 2, torch.tensor([0.3])),
    ]
    twin = copy.deepcopy(model)
    got = model(x, mode="loss", mixtures=mixtures)["loss_mix"]
    codes = [_codes(scores) for scores in _scores(twin, x)[:2]]
    (large,), (small,) = (_scores(twin, [mixture.images]) for mixture in mixtures)
    expected = 0.8 * _predict(large, codes[1]) + 0.2 * _predict(large, codes[1].flip(0))
    for code in codes:
        expected = (
            expected + (0.3 * _predict(small, code) + 0.7 * _predict(small, code.flip(0))) / 2
        )
    assert got.item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("pairing", ["mutual", "mixed"])
def test_pairs_predict_each_others_codes(pairing: str) -> None:
    head = {"type": "mixssl.UnMixHead", "pairing": pairing}
    sources = (0,) if pairing == "mutual" else (0, 1)
    model, x = build(swav(mixer=UNMIX | {"views": sources}, mix_head=head)), _crops(0, [2])
    mixtures = [_mixture("region", x[source], source) for source in sources]
    twin = copy.deepcopy(model)
    got = model(x, mode="loss", mixtures=mixtures)["loss_mix"]

    def loss(one: Tensor, other: Tensor) -> Tensor:
        return (_predict(one, _codes(other)) + _predict(other, _codes(one))) / 2

    other = _scores(twin, x)[1]
    mixed = [_scores(twin, [mixture.images])[0] for mixture in mixtures]
    lam = mixtures[0].lam[0]
    expected = loss(*mixed) if pairing == "mixed" else lam * loss(mixed[0], other)
    if pairing == "mutual":
        expected = expected + (1 - lam) * loss(mixed[0].flip(0), other)
    assert got.item() == pytest.approx(expected.item(), abs=1e-5)


def test_with_multi_crop_all_views_that_predict_a_mixtures_code_are_averaged() -> None:
    head = {"type": "mixssl.UnMixHead", "pairing": "mutual"}
    model, x = build(swav(mixer=UNMIX, num_crops=MULTI, mix_head=head)), _crops(0, MULTI)
    mixed = global_mixture(x[0], 0, torch.ones(1))
    twin = copy.deepcopy(model)
    got = model(x, mode="loss", mixtures=[mixed])["loss_mix"]
    clean, (own,) = _scores(twin, x), _scores(twin, [mixed.images])
    to_mixture = sum(_predict(scores, _codes(own)) for scores in clean[1:]) / 4
    expected = (_predict(own, _codes(clean[1])) + to_mixture) / 2
    assert got.item() == pytest.approx(expected.item(), abs=1e-5)


def test_a_lam_per_row_weighs_each_row() -> None:
    model, x = build(swav(mixer=UNMIX)), _crops(0, [2], batch=4)
    lam = torch.tensor([0.1, 0.5, 0.8, 1.0])
    mixed = global_mixture(x[0], 0, lam)
    twin = copy.deepcopy(model)
    got = model(x, mode="loss", mixtures=[mixed])["loss_mix"]
    code = _codes(_scores(twin, x)[1])
    (scores,) = _scores(twin, [mixed.images])
    expected = sum(
        lam[i] * _predict(scores[i : i + 1], code[i : i + 1])
        + (1 - lam[i]) * _predict(scores[i : i + 1], code[3 - i : 4 - i])
        for i in range(4)
    )
    assert got.item() == pytest.approx(expected.item() / 4, abs=1e-5)


# -- the queue --------------------------------------------------------------------------------------------------------


def test_the_queue_moves_once_per_optimizer_step_and_holds_clean_embeddings_latest_first() -> None:
    model = build(swav(mixer=UNMIX))
    queue = model.head.loss_module.queue = torch.zeros(2, 24, DIM)
    wrapper = OptimWrapper(sgd(model), accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    data = [{"inputs": _crops(step, [2]), "data_samples": None} for step in range(3)]
    twin = copy.deepcopy(model)
    model.train_step(data[0], wrapper)
    assert not queue.any()
    model.train_step(data[1], wrapper)
    assert not model.head.loss_module.use_queue
    for step in range(2):
        embedding = F.normalize(twin.neck([twin.backbone(torch.cat(data[step]["inputs"]))]), dim=1)
        slot = slice(8, 16) if step == 0 else slice(0, 8)
        assert torch.allclose(queue[:, slot], embedding.view(2, 8, DIM), atol=1e-5)
    assert not queue[:, 16:].any()
    assert model.head.loss_module.queue is queue


def test_what_is_kept_without_an_optimizer_is_bounded_and_dropped_with_the_queue() -> None:
    model = build(swav())
    model.head.loss_module.queue = torch.zeros(2, 16, DIM)
    for step in range(5):
        model(_crops(step, [2]), mode="loss")
    assert sum(rows.shape[1] for rows in model._staged) == 16
    model.head.loss_module.queue = None
    model.after_optimizer_step()
    assert not model._staged


def test_a_full_queue_takes_part_in_the_codes() -> None:
    model, x = build(swav()), _crops(0, [2])
    twin = copy.deepcopy(model)
    queue = F.normalize(torch.randn(2, 16, DIM, generator=torch.Generator().manual_seed(3)), dim=-1)
    model.head.loss_module.queue = queue.clone()
    assert model(x, mode="loss")["loss_clean"] != twin(x, mode="loss")["loss_clean"]
    assert model.head.loss_module.use_queue


# -- training, restoring, refusing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("joint_bn", [False, True])
def test_three_steps_train_repeat_and_go_on_after_a_restart(joint_bn: bool) -> None:
    cfg = swav(mixer=UNMIX, joint_bn=joint_bn)
    model, again = build(cfg), build(cfg)
    for one in (model, again):
        one.head.loss_module.queue = torch.zeros(2, 16, DIM)
    history = torch.stack(train(model, 3))
    assert history.isfinite().all()
    assert torch.equal(history, torch.stack(train(again, 3)))
    assert torch.equal(model.head.loss_module.queue, again.head.loss_module.queue)
    assert model.head.loss_module.queue.all()
    restored = build(cfg, seed=5)
    restored.load_state_dict(model.state_dict())
    restored.head.loss_module.queue = model.head.loss_module.queue.clone()
    assert torch.equal(*(torch.stack(train(one, 2)) for one in (model, restored)))


def test_evaluation_moves_nothing() -> None:
    model = build(swav()).eval()
    model.head.loss_module.queue = torch.ones(2, 16, DIM)
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        model(_crops(0, [2]), mode="loss")
    model.after_optimizer_step()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert (model.head.loss_module.queue == 1).all()
    assert not model.head.loss_module.use_queue


def test_views_that_the_head_does_not_expect_are_refused_before_anything_moves() -> None:
    model = build(swav())
    weight = model.head.loss_module.prototypes.weight.clone()
    with pytest.raises(
        ValueError, match=r"num_crops of SwAVLoss is \[2\] and the pipeline gives 3 views"
    ):
        model(views(count=3), mode="loss")
    assert torch.equal(weight, model.head.loss_module.prototypes.weight)


def test_a_queue_shorter_than_a_batch_is_refused() -> None:
    model = build(swav())
    model.head.loss_module.queue = torch.zeros(2, 4, DIM)
    with pytest.raises(ValueError, match="holds 4 images per device and must hold a batch of 8"):
        model(views(), mode="loss")


def test_several_sets_of_prototypes_are_refused() -> None:
    cfg = swav()
    cfg["head"]["loss"]["num_prototypes"] = [4, 5]
    with pytest.raises(
        ValueError, match="num_prototypes of SwAVLoss is a list and must be a number"
    ):
        build(cfg)
