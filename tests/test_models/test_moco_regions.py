"""MixMoCo with local/global CutMix against naive transcriptions of both approaches' losses."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from support.ddp import run_ranks
from support.regions import inter_head, intra_head, moco_with_regions, region_average
from support.tiny import build, moco, sgd, total, train, views
from torch import Tensor
from torch.nn import functional as F

from mixssl.mixing import region_mixture, view_mixture
from mixssl.structures import MixedView, View

BOXES = {"usual": ([3, 2, 11, 9], [5, 6, 15, 16]), "extreme": ([4, 4, 5, 5], [0, 0, 15, 16])}


def _lam(box: list[int]) -> Tensor:
    return torch.tensor([1 - (box[2] - box[0]) * (box[3] - box[1]) / 256])


def _inter(x: list[Tensor], boxes: tuple[list[int], list[int]]) -> list[MixedView]:
    return [region_mixture(x[i], i, _lam(box), torch.tensor([box])) for i, box in enumerate(boxes)]


def _intra(x: list[Tensor], box: list[int]) -> list[MixedView]:
    return [view_mixture(x, i, 1 - i, _lam(box), torch.tensor([box])) for i in (0, 1)]


def _contrast(query: Tensor, key: Tensor, queue: Tensor) -> Tensor:
    """Cross-entropy of rows with their keys against key and queue, at τ = 0.2."""
    rows = []
    for q, k in zip(query, key, strict=True):
        logits = torch.cat([(q * k).sum()[None], queue.t() @ q]) / 0.2
        rows.append(-F.log_softmax(logits.double(), dim=0)[0])
    return torch.stack(rows).mean()


class _Naive:
    """Every embedding by a forward pass of its own, every region by upsampling."""

    def __init__(self, model: Any, momentum: bool = True) -> None:
        self.model = model
        self.momentum = momentum

    def query(self, images: Tensor, boxes: Tensor | None = None) -> dict[str, Tensor]:
        model = self.model
        maps = model.backbone(images)
        return self._embed(maps, model.neck, model.region_neck, boxes)

    @torch.no_grad()
    def key(self, images: Tensor, boxes: Tensor | None = None) -> dict[str, Tensor]:
        model = self.model
        backbone, neck = model.encoder_k.module
        pool = model.region_neck_k.module if self.momentum else model.region_neck
        return self._embed(backbone(images), neck, pool, boxes)

    def _embed(self, maps: tuple, neck: Any, pool: Any, boxes: Tensor | None) -> dict[str, Tensor]:
        found = {"image": neck(maps)[0]}
        if boxes is not None:
            found["local"], found["global"] = region_average(pool, maps[-1], boxes, 16)
        return {region: F.normalize(value, dim=1) for region, value in found.items()}


def _approach_2(
    naive: _Naive,
    x: list[Tensor],
    mixed: list[MixedView],
    authors: bool = False,
    reverse: bool = True,
) -> dict[str, Tensor]:
    """Equation 8 with the reversed mixture encoded again; ``authors``: outside against the original key and queue."""
    model, lam = naive.model, mixed[0].lam[0]
    key, other = naive.key(x[1])["image"], naive.key(mixed[1].images, mixed[1].boxes)
    outside, bank = (key, model.queue) if authors else (other["global"], model.queue_global)
    losses = {"loss_clean": _contrast(naive.query(x[0])["image"], key, model.queue)}
    for images, share in ((mixed[0].images, lam), (mixed[0].images.flip(0), 1 - lam)):
        query = naive.query(images, mixed[0].boxes)
        parts = {"loss_mix": _contrast(query["image"], key, model.queue)}
        if reverse or images is mixed[0].images:
            parts["loss_global"] = _contrast(query["global"], outside, bank)
            parts["loss_local"] = _contrast(query["local"], other["local"], model.queue_local)
        for name, value in parts.items():
            losses[name] = losses.get(name, 0) + share * value
    return losses


def _approach_1(
    naive: _Naive, x: list[Tensor], mixed: list[MixedView], lam: float
) -> dict[str, Tensor]:
    """Equations 2 to 7."""
    model = naive.model
    key = naive.key(x[1])["image"]
    query, other = (
        naive.query(mixed[0].images, mixed[0].boxes),
        naive.key(mixed[1].images, mixed[1].boxes),
    )
    return {
        "loss_clean": _contrast(naive.query(x[0])["image"], key, model.queue),
        "loss_mix": lam * _contrast(query["image"], key, model.queue),
        "loss_global": (1 - lam) * _contrast(query["global"], other["global"], model.queue_global),
        "loss_local": (1 - lam) * _contrast(query["local"], other["local"], model.queue_local),
        "loss_local_global": (1 - lam)
        * _contrast(query["local"], other["global"], model.queue_global),
    }


def _settled(cfg: dict) -> tuple[Any, Any]:
    """A model whose momentum copies differ from what trains, and a twin for the transcription."""
    model = build(cfg)
    train(model, 2)
    twin = copy.deepcopy(model)
    twin.step_momentum()
    return model, twin


def _same(losses: dict[str, Tensor], expected: dict[str, Tensor], model: Any, twin: Any) -> None:
    assert set(losses) == set(expected)
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value.item(), abs=1e-5), name
    model.zero_grad()
    twin.zero_grad()
    total(losses).backward()
    total(expected).backward()
    for (name, a), b in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        if a.grad is not None:
            assert (a.grad - b.grad).abs().max() <= 5e-4 * b.grad.abs().max().clamp_min(1e-2), name


@pytest.mark.parametrize("boxes", BOXES)
@pytest.mark.parametrize(
    ("options", "naive"),
    [
        ({}, {}),
        ({"original_key": True}, {"authors": True}),
        ({"reverse_regions": False}, {"reverse": False}),
    ],
)
def test_approach_2_is_the_papers(boxes: str, options: dict, naive: dict) -> None:
    model, twin = _settled(moco_with_regions(inter_head(**options)))
    x = views(seed=7)
    mixed = _inter(x, BOXES[boxes])
    losses = model(x, mode="loss", mixtures=mixed)
    _same(losses, _approach_2(_Naive(twin), x, mixed, **naive), model, twin)


@pytest.mark.parametrize("boxes", BOXES)
def test_approach_1_is_the_papers(boxes: str) -> None:
    model, twin = _settled(moco_with_regions(intra_head(lam=0.3)))
    x = views(seed=7)
    mixed = _intra(x, BOXES[boxes][0])
    losses = model(x, mode="loss", mixtures=mixed)
    _same(losses, _approach_1(_Naive(twin), x, mixed, 0.3), model, twin)


def test_without_a_momentum_copy_keys_go_through_the_neck_that_trains() -> None:
    model, twin = _settled(moco_with_regions(inter_head(), region_momentum=False))
    assert not any("region_neck_k" in name for name in model.state_dict())
    x = views(seed=7)
    mixed = _inter(x, BOXES["usual"])
    losses = model(x, mode="loss", mixtures=mixed)
    _same(losses, _approach_2(_Naive(twin, momentum=False), x, mixed), model, twin)


def test_symmetric_is_both_ways_added() -> None:
    model, twin = _settled(moco_with_regions(inter_head(symmetric=True), symmetric=True))
    x = views(seed=7)
    mixed = _inter(x, BOXES["usual"])
    losses = model(x, mode="loss", mixtures=mixed)
    forth = _approach_2(_Naive(twin), x, mixed)
    back = _approach_2(_Naive(twin), x[::-1], mixed[::-1])
    _same(losses, {name: forth[name] + back[name] for name in forth}, model, twin)


def test_the_limits_of_lam_and_of_weights() -> None:
    x = views(seed=7)
    model, twin = _settled(moco_with_regions(intra_head(lam=1.0)))
    assert model.region_neck is None
    losses = model(x, mode="loss", mixtures=_intra(x, BOXES["usual"][0]))
    assert set(losses) == {"loss_clean", "loss_mix"}
    model, twin = _settled(moco_with_regions(inter_head(original=0.0)))
    mixed = _inter(x, BOXES["usual"])
    losses = model(x, mode="loss", mixtures=mixed)
    expected = _approach_2(_Naive(twin), x, mixed)
    assert set(losses) == set(expected) - {"loss_clean"}
    assert losses["loss_local"].item() == pytest.approx(expected["loss_local"].item(), abs=1e-5)
    model, twin = _settled(moco_with_regions(inter_head(original=0.5)))
    expected = _approach_2(_Naive(twin), x, mixed)
    half = model(x, mode="loss", mixtures=mixed)["loss_clean"]
    assert half.item() == pytest.approx(0.5 * expected["loss_clean"].item(), abs=1e-5)


# -- cost, banks, state -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "symmetric", "online", "target"),
    [
        (inter_head(), False, 2, 2),
        (intra_head(), False, 2, 2),
        (inter_head(symmetric=True), True, 4, 4),
    ],
)
def test_forwards_are_as_few_as_can_be(
    head: dict, symmetric: bool, online: int, target: int
) -> None:
    """An online forward costs 3 units (backward is 2) and a key 1: asymmetric 8, where MoCo alone is 4."""
    model = build(moco_with_regions(head, symmetric=symmetric))
    calls = {"online": 0, "target": 0}
    model.backbone.register_forward_hook(
        lambda *_: calls.__setitem__("online", calls["online"] + 1)
    )
    model.encoder_k.module[0].register_forward_hook(
        lambda *_: calls.__setitem__("target", calls["target"] + 1)
    )
    train(model, 1)
    assert calls == {"online": online, "target": target}


def test_three_queues_hold_the_keys_of_their_kind() -> None:
    model = build(moco_with_regions(inter_head()))
    data = model.data_preprocessor({"inputs": views(), "data_samples": None}, True)
    before = {name: value.clone() for name, value in model.named_buffers() if "queue" in name}
    assert set(before) == {
        f"queue{kind}{end}" for kind in ("", "_local", "_global") for end in ("", "_ptr")
    }
    twin = copy.deepcopy(model)
    twin.step_momentum()
    optimizer = sgd(model)
    total(model(**data, mode="loss")).backward()
    assert all(torch.equal(value, model.get_buffer(name)) for name, value in before.items())
    optimizer.step()
    mixed = data["mixtures"][1]
    keys = _Naive(twin).key(mixed.images, mixed.boxes)
    keys["image"] = _Naive(twin).key(data["inputs"][1])["image"]
    for region, name in (("image", "queue"), ("local", "queue_local"), ("global", "queue_global")):
        assert torch.allclose(model.get_buffer(name)[:, :8], keys[region].t(), atol=1e-6)
        assert torch.equal(model.get_buffer(name)[:, 8:], before[name][:, 8:])
        assert model.get_buffer(f"{name}_ptr").item() == 8


def test_as_in_the_authors_code_the_global_queue_stays_as_it_is() -> None:
    model = build(moco_with_regions(inter_head(original_key=True)))
    before = model.queue_global.clone()
    train(model, 3)
    assert torch.equal(model.queue_global, before) and model.queue_local_ptr.item() == 24


def test_without_a_mixer_state_keys_and_parameters_are_the_parents() -> None:
    parent = build(moco("mmpretrain.MoCo"))
    cfg = moco_with_regions(inter_head())
    cfg["data_preprocessor"]["mixer"] = None
    model = build(cfg)
    assert model.state_dict().keys() == parent.state_dict().keys()
    losses = model(views(), mode="loss")
    assert set(losses) == {"loss_clean"}


@pytest.mark.parametrize("head", [inter_head(), intra_head()])
def test_every_parameter_that_trains_gets_a_finite_gradient(head: dict) -> None:
    model = build(moco_with_regions(head))
    for step in range(4):
        data = model.data_preprocessor({"inputs": views(seed=step), "data_samples": None}, True)
        model.zero_grad()
        total(model(**data, mode="loss")).backward()
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
            else:
                assert parameter.grad is None, name


@pytest.mark.parametrize("head", [inter_head(), intra_head()])
def test_a_restored_model_goes_on_bit_by_bit(head: dict) -> None:
    cfg = moco_with_regions(head)
    model, histories = build(cfg), []
    torch.manual_seed(1)
    train(model, 3)
    restored = build(cfg, seed=5)
    restored.load_state_dict(model.state_dict())
    for one in (model, restored):
        torch.manual_seed(2)
        histories.append(train(one, 3))
    assert all(torch.equal(a, b) for a, b in zip(*histories, strict=True))
    for (name, a), b in zip(
        model.state_dict().items(), restored.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name


def test_bfloat16_changes_the_loss_no_more_than_its_rounding() -> None:
    model, x = build(moco_with_regions(inter_head())), views()
    mixed = _inter(x, BOXES["usual"])
    exact = copy.deepcopy(model)(x, mode="loss", mixtures=mixed)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(x, mode="loss", mixtures=mixed)
    for name, value in exact.items():
        assert rounded[name].dtype == torch.float32
        assert rounded[name].item() == pytest.approx(value.item(), rel=0.03, abs=0.02)


# -- two ranks --------------------------------------------------------------------------------------------------------


def _keys(rows: slice) -> dict[str, Tensor]:
    """Keys of some rows of a batch whose boxes all differ, without batch statistics."""
    model = build(moco_with_regions(inter_head())).eval()
    torch.manual_seed(50)
    top = torch.arange(8)
    boxes = torch.stack([top, top // 2, top + 3, top + 9], dim=1)
    view = View(3, views(8, seed=3)[0][rows], ("global", "image", "local"), boxes[rows])
    return {key.region: value for key, value in model.encode_target([view], {}).items()}


def _on_a_rank(rank: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Keys of this rank's half of a batch, and the state after three steps of training on two ranks."""
    keys = _keys(slice(4 * rank, 4 * rank + 4))
    model = build(moco_with_regions(inter_head()))
    torch.manual_seed(100 + rank)
    wrapped, wrapper = (
        MMDistributedDataParallel(model, broadcast_buffers=False),
        OptimWrapper(sgd(model)),
    )
    for step in range(3):
        wrapped.train_step(
            {"inputs": views(8, seed=10 * step + rank), "data_samples": None}, wrapper
        )
    return keys, {
        name: value.clone() for name, value in model.state_dict().items() if "running" not in name
    }


def test_on_two_ranks_boxes_travel_with_their_images_and_states_agree() -> None:
    (first, one), (second, two) = run_ranks(_on_a_rank)
    for region, value in _keys(slice(None)).items():
        assert torch.allclose(torch.cat([first[region], second[region]]), value, atol=1e-6), region
    assert one["queue_local_ptr"].item() == 48
    for name, value in one.items():
        assert torch.equal(value, two[name]), name
