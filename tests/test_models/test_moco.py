"""MixMoCo against its mmpretrain parent and against a naive transcription of Un-Mix's equation."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper
from support.tiny import build, moco, preprocessor, sgd, total, train, views
from torch import Tensor
from torch.nn import functional as F

from mixssl.mixing import global_mixture, region_mixture
from mixssl.structures import MixedView

PAIRINGS = {"cross": [1], "own": [0], "all": [0, 1]}
"""The clean views that a mixture of view 0 is compared with."""


def _data(step: int, batch: int = 8) -> dict:
    return {"inputs": views(batch, seed=step), "data_samples": None}


def test_without_a_mixer_every_bit_is_the_parents() -> None:
    ours, parent = build(moco()), build(moco("mmpretrain.MoCo"))
    assert ours.state_dict().keys() == parent.state_dict().keys()
    wrappers = [OptimWrapper(sgd(model)) for model in (ours, parent)]
    for step in range(4):
        logs = []
        for model, wrapper in zip((ours, parent), wrappers, strict=True):
            torch.manual_seed(step)
            logs.append(model.train_step(_data(step), wrapper))
        assert torch.equal(logs[0]["loss"], logs[1]["loss"])
        for (name, a), b in zip(
            ours.state_dict().items(), parent.state_dict().values(), strict=True
        ):
            assert torch.equal(a, b), name


def test_without_a_mixer_gradients_are_the_parents() -> None:
    ours, parent = build(moco()), build(moco("mmpretrain.MoCo"))
    for model in (ours, parent):
        torch.manual_seed(9)
        total(model(views(), mode="loss")).backward()
    for (name, a), b in zip(ours.named_parameters(), parent.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        if a.grad is not None:
            assert torch.equal(a.grad, b.grad), name


def test_a_parents_checkpoint_loads_and_gives_the_same_features() -> None:
    parent = build(moco("mmpretrain.MoCo"), seed=3)
    ours = build(moco(), seed=4)
    assert not any(ours.load_state_dict(parent.state_dict()))
    x = views()[0]
    assert torch.equal(ours.eval()(x)[0], parent.eval()(x)[0])


# -- the paper's equation, naively ------------------------------------------------------------------------------------


def _mixture(kind: str, x: Tensor, source: int = 0) -> MixedView:
    if kind.startswith("global"):
        return global_mixture(
            x, source, torch.tensor([{"global": 0.3, "global0": 0.0, "global1": 1.0}[kind]])
        )
    box = {"region": [3, 2, 11, 9], "empty": [4, 4, 4, 4], "whole": [0, 0, 16, 16]}[kind]
    area = (box[2] - box[0]) * (box[3] - box[1])
    return region_mixture(x, source, torch.tensor([1 - area / 256]), torch.tensor([box]))


def _contrast(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """A row's cross-entropy with its key against key and queue, one row after the other."""
    rows = []
    for q, k in zip(query, key, strict=True):
        logits = torch.cat([(q * k).sum()[None], queue.t() @ q]) / temperature
        rows.append(-F.log_softmax(logits.double(), dim=0)[0])
    return torch.stack(rows).mean()


def _naive(
    model: torch.nn.Module, x: list[Tensor], lam: float, mixed: Tensor, pairing: str
) -> Tensor:
    """Algorithm 1 of Un-Mix, every forward spelled out, the reversed mixture encoded again."""

    def query(images: Tensor) -> Tensor:
        return F.normalize(model.neck(model.backbone(images))[0], dim=1)

    def key(images: Tensor) -> Tensor:
        with torch.no_grad():
            return F.normalize(model.encoder_k(images)[0], dim=1)

    def loss(images: Tensor, other: Tensor) -> Tensor:
        return _contrast(query(images), key(other), model.queue, model.head.temperature)

    value = loss(x[0], x[1]) + (loss(x[1], x[0]) if model.symmetric else 0)
    for target in (x[view] for view in PAIRINGS[pairing]):
        value = value + lam * loss(mixed, target) + (1 - lam) * loss(mixed.flip(0), target)
    return value


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("pairing", PAIRINGS)
def test_with_unmix_the_loss_is_the_papers(
    pairing: str, symmetric: bool, subtests: pytest.Subtests
) -> None:
    for kind in ("global", "global0", "global1", "region", "empty", "whole"):
        with subtests.test(kind):
            _check_unmix(kind, pairing, symmetric)


def _check_unmix(kind: str, pairing: str, symmetric: bool) -> None:
    cfg = moco(
        symmetric=symmetric,
        data_preprocessor=preprocessor({"type": "mixssl.UnMix"}),
        mix_head={"type": "mixssl.UnMixHead", "pairing": pairing},
    )
    model, x = build(cfg), views()
    mixed = _mixture(kind, x[0])
    twin = copy.deepcopy(model)
    losses = model(x, mode="loss", mixtures=[mixed])
    assert set(losses) == {"loss_clean", "loss_mix"}
    twin.update_momentum()
    expected = _naive(twin, x, mixed.lam[0].item(), mixed.images, pairing)
    assert total(losses).item() == pytest.approx(expected.item(), abs=1e-6, rel=1e-6)
    total(losses).backward()
    expected.backward()
    for (name, a), b in zip(model.named_parameters(), twin.parameters(), strict=True):
        if a.grad is not None:
            scale = b.grad.abs().max().clamp_min(1e-3)
            assert (a.grad - b.grad).abs().max() <= 2e-4 * scale, name


def test_both_branches_add_the_contrast_of_the_mixtures() -> None:
    cfg = moco(
        data_preprocessor=preprocessor({"type": "mixssl.UnMix", "views": (0, 1)}),
        mix_head={"type": "mixssl.UnMixHead", "pairing": "mixed"},
    )
    model, x = build(cfg), views()
    mixtures = [_mixture("region", x[0], 0), _mixture("region", x[1], 1)]
    twin = copy.deepcopy(model)
    twin.update_momentum()
    losses = model(x, mode="loss", mixtures=mixtures)
    query = F.normalize(twin.neck(twin.backbone(mixtures[0].images))[0], dim=1)
    key = F.normalize(twin.encoder_k(mixtures[1].images)[0], dim=1)
    expected = _contrast(query, key, twin.queue, 0.2)
    assert losses["loss_mix"].item() == pytest.approx(expected.item(), abs=1e-6)


def test_a_lam_per_row_weighs_each_row() -> None:
    model, x = build(moco(mixer={"type": "mixssl.UnMix"})), views(4)
    lam = torch.tensor([0.1, 0.5, 0.8, 1.0])
    mixed = global_mixture(x[0], 0, lam)
    twin = copy.deepcopy(model)
    twin.update_momentum()
    got = model(x, mode="loss", mixtures=[mixed])["loss_mix"]
    query = F.normalize(twin.neck(twin.backbone(mixed.images))[0], dim=1)
    key = F.normalize(twin.encoder_k(x[1])[0], dim=1)
    expected = 0.0
    for i in range(4):
        for weight, target in ((lam[i], key[i]), (1 - lam[i], key[3 - i])):
            one = _contrast(query[i : i + 1], target[None], twin.queue, 0.2)
            expected += weight.item() * one.item() / 4
    assert got.item() == pytest.approx(expected, abs=1e-6)


# -- cost -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("symmetric", "online", "target"), [(False, 2, 1), (True, 3, 2)])
def test_a_mixture_costs_one_online_forward_and_nothing_else(
    symmetric: bool, online: int, target: int
) -> None:
    model = build(moco(mixer={"type": "mixssl.UnMix"}, symmetric=symmetric))
    calls = {"online": 0, "target": 0}
    model.backbone.register_forward_hook(
        lambda *_: calls.__setitem__("online", calls["online"] + 1)
    )
    model.encoder_k.module[0].register_forward_hook(
        lambda *_: calls.__setitem__("target", calls["target"] + 1)
    )
    train(model, 1)
    assert calls == {"online": online, "target": target}


def test_the_negatives_logits_of_a_mixture_are_computed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = build(moco(mixer={"type": "mixssl.UnMix"}))
    products = []
    einsum = torch.einsum
    monkeypatch.setattr(torch, "einsum", lambda eq, *ops: products.append(eq) or einsum(eq, *ops))
    data = model.data_preprocessor(_data(0), True)
    model(**data, mode="loss")
    assert (
        products.count("nc,ck->nk") == 2
    )  # one for the clean query, one for both orders of the mixture


# -- once per optimizer step ------------------------------------------------------------------------------------------


def test_momentum_and_queue_move_once_per_optimizer_step() -> None:
    model = build(moco(mixer={"type": "mixssl.UnMix"}))
    wrapper = OptimWrapper(sgd(model), accumulative_counts=4)
    wrapper.initialize_count_status(model, 0, 8)
    pointers, steps = [], []
    for step in range(8):
        model.train_step(_data(step), wrapper)
        pointers.append(model.queue_ptr.item())
        steps.append(model.encoder_k.steps.item())
    assert steps == [1, 1, 1, 1, 2, 2, 2, 2]
    assert pointers == [0, 0, 0, 32, 32, 32, 32, 0]


@pytest.mark.parametrize(("pairing", "passes"), [("cross", 2), ("mixed", 3)])
def test_the_queue_can_hold_mixtures_behind_the_clean_keys(pairing: str, passes: int) -> None:
    both = (0, 1) if pairing == "mixed" else (0,)
    cfg = moco(
        mixer={"type": "mixssl.UnMix", "views": both},
        mix_head={"type": "mixssl.UnMixHead", "pairing": pairing},
    )
    plain, model = build(cfg), build(cfg | {"queue_mixtures": True})
    data = model.data_preprocessor(_data(0), True)
    before, optimizer, calls = model.queue.clone(), sgd(model), []
    model.encoder_k.module[0].register_forward_hook(lambda *_: calls.append(1))
    torch.manual_seed(0)
    losses = model(**data, mode="loss")
    torch.manual_seed(0)
    expected = plain(**data, mode="loss")
    assert all(torch.allclose(value, expected[name]) for name, value in losses.items())
    assert len(calls) == passes, "one more than without, for the mixture of view 0"
    total(losses).backward()
    shown = [data["inputs"][1], *(mixture.images for mixture in data["mixtures"])]
    keys = torch.cat([F.normalize(model.encoder_k(view)[0], dim=1) for view in shown])
    optimizer.step()
    assert torch.allclose(model.queue[:, : len(keys)], keys.t(), atol=1e-6)
    assert torch.equal(model.queue[:, len(keys) :], before[:, len(keys) :])


def test_a_queue_cannot_hold_mixtures_without_pixels() -> None:
    with pytest.raises(ValueError, match="queue_mixtures.*ManifoldMix makes no pixels.*UnMix"):
        build(moco(mixer={"type": "mixssl.ManifoldMix"}, queue_mixtures=True))


def test_the_queue_holds_the_clean_keys_in_order() -> None:
    model = build(moco(mixer={"type": "mixssl.UnMix"}, symmetric=True))
    data = model.data_preprocessor(_data(0), True)
    before = model.queue.clone()
    optimizer = sgd(model)
    total(model(**data, mode="loss")).backward()
    assert torch.equal(model.queue, before)
    keys = [F.normalize(model.encoder_k(view)[0], dim=1) for view in data["inputs"]]
    optimizer.step()
    assert torch.allclose(model.queue[:, :16], torch.cat(keys).t(), atol=1e-6)
    assert torch.equal(model.queue[:, 16:], before[:, 16:])
    assert model.queue_ptr.item() == 16


def test_another_models_optimizer_moves_nothing() -> None:
    model, other = build(moco()), build(moco())
    model(views(), mode="loss")
    optimizer = sgd(other)
    total(other(views(), mode="loss")).backward()
    optimizer.step()
    assert model.queue_ptr.item() == 0
    assert other.queue_ptr.item() == 8


def test_what_is_kept_without_an_optimizer_is_bounded() -> None:
    model = build(moco())
    for step in range(20):
        model(views(seed=step), mode="loss")
    assert sum(len(keys) for keys in model._staged["queue"]) == model.queue_len


# -- training, restoring, refusing ------------------------------------------------------------------------------------


def test_same_seed_same_training_and_a_restored_model_goes_on() -> None:
    cfg = moco(mixer={"type": "mixssl.UnMix"})
    runs = []
    for _ in range(2):
        model = build(cfg)
        torch.manual_seed(1)
        runs.append(train(model, 3))
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))
    assert all(torch.isfinite(value) for value in runs[0])

    restored = build(cfg, seed=5)
    restored.load_state_dict(model.state_dict())
    histories = []
    for one in (model, restored):
        torch.manual_seed(2)
        histories.append(train(one, 2))
    assert all(torch.equal(a, b) for a, b in zip(*histories, strict=True))


def test_training_lowers_the_loss_once_the_queue_is_full() -> None:
    model = build(moco(mixer={"type": "mixssl.UnMix"}))
    x = {"inputs": [views()[0]] * 2, "data_samples": None}
    wrapper = OptimWrapper(sgd(model, lr=0.02))
    history = [model.train_step(x, wrapper)["loss_clean"].item() for _ in range(50)]
    assert history[-1] < history[8] - 0.2


def test_a_batch_that_does_not_divide_the_queue_is_refused_before_anything_moves() -> None:
    model = build(moco())
    with pytest.raises(
        ValueError, match="queue_len is 64 and must be a multiple of the total batch 6.*drop_last"
    ):
        model(views(6), mode="loss")
    assert model.encoder_k.steps.item() == 0


def test_a_batch_of_one_and_a_single_view_are_refused() -> None:
    model = build(moco())
    with pytest.raises(ValueError, match="batch of 1 and needs at least 2"):
        model(views(1), mode="loss")
    with pytest.raises(ValueError, match="got 1 view and needs a list of at least 2"):
        model(views(count=1), mode="loss")
    with pytest.raises(ValueError, match="got Tensor and needs a list"):
        model(views()[0], mode="loss")


def test_a_mixer_without_a_head_is_refused() -> None:
    with pytest.raises(ValueError, match="mixes with UnMix and the model's mix_head is None"):
        build(moco(data_preprocessor=preprocessor({"type": "mixssl.UnMix"})))


def test_a_head_without_a_mixer_is_the_baseline() -> None:
    model = build(moco(mix_head={"type": "mixssl.UnMixHead"}))
    data = model.data_preprocessor(_data(0), True)
    assert "mixtures" not in data
    assert set(model(**data, mode="loss")) == {"loss_clean"}
