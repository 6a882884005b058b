"""Local/global CutMix on SimCLR and BYOL against naive transcriptions, and what all methods with regions promise."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper
from support.ddp import run_ranks
from support.methods import byol, simclr
from support.methods_more import projector, run_length, vit
from support.regions import inter_head, intra_head, region_average, with_regions
from support.tiny import DIM, build, moco, sgd, total, train, views
from torch import Tensor
from torch.nn import functional as F

from mixssl.mixing import region_mixture, view_mixture
from mixssl.structures import MixedView

BOXES = ([3, 2, 11, 9], [5, 6, 15, 16])
REGION_HEAD = {
    "type": "mmpretrain.LatentPredictHead",
    "predictor": projector(DIM, with_last_bn=False, with_last_bias=True, with_avg_pool=False),
    "loss": {"type": "mmpretrain.CosineSimilarityLoss"},
}


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    with run_length():
        yield


def _byol(head: dict, **changes: Any) -> dict:
    return with_regions(byol(), head, **({"region_head": REGION_HEAD} | changes))


def _simclr(head: dict, **changes: Any) -> dict:
    return with_regions(simclr(), head, **changes)


METHODS = {"byol": _byol, "simclr": _simclr}


def _lam(box: list[int]) -> Tensor:
    return torch.tensor([1 - (box[2] - box[0]) * (box[3] - box[1]) / 256])


def _inter(x: list[Tensor]) -> list[MixedView]:
    return [region_mixture(x[i], i, _lam(box), torch.tensor([box])) for i, box in enumerate(BOXES)]


def _intra(x: list[Tensor]) -> list[MixedView]:
    return [view_mixture(x, i, 1 - i, _lam(BOXES[0]), torch.tensor([BOXES[0]])) for i in (0, 1)]


def test_regions_of_a_transformers_tokens() -> None:
    """Its patches' tokens as a map are what regions are averaged over."""
    backbone = vit() | {"out_type": "featmap"}
    neck = projector(16)
    region_neck = {"type": "mixssl.RegionPool", "in_channels": 16, "out_channels": DIM}
    model = build(
        with_regions(moco(backbone=backbone, neck=neck), inter_head(), region_neck=region_neck)
    )
    losses = model(views(), mode="loss", mixtures=_inter(views()))
    assert {"loss_clean", "loss_global_local"} & set(losses) and len(losses) > 2
    total(losses).backward()
    assert model.region_neck.conv.weight.grad.abs().sum() > 0
    assert model.backbone.layers[0].attn.qkv.weight.grad.abs().sum() > 0


def _embedded(backbone: Any, neck: Any, pool: Any, mixed: MixedView) -> dict[str, Tensor]:
    """The embeddings of a mixture and its regions, upsampled and averaged for real."""
    maps = backbone(mixed.images)
    inside, outside = region_average(pool, maps[-1], mixed.boxes, 16)
    return {"image": neck(maps)[0], "local": inside, "global": outside}


Compare = Callable[[Tensor, Tensor, str], Tensor]


def _approach_2(
    compare: Compare, mixed: list[MixedView], online: list[dict], target: list[dict], key: Tensor
) -> dict:
    """One direction of eq. 8, queries reversed by hand."""
    lam, losses = mixed[0].lam[0], {"loss_mix": 0.0, "loss_global": 0.0, "loss_local": 0.0}
    for share, order in ((lam, slice(None)), (1 - lam, torch.arange(7, -1, -1))):
        query = {region: value[order] for region, value in online[0].items()}
        losses["loss_mix"] += share * compare(query["image"], key, "image")
        losses["loss_global"] += share * compare(query["global"], target[1]["global"], "global")
        losses["loss_local"] += share * compare(query["local"], target[1]["local"], "local")
    return losses


def _approach_1(
    compare: Compare, online: list[dict], target: list[dict], key: Tensor, lam: float
) -> dict:
    """One direction of eq. 3 to 7."""
    query, other = online[0], target[1]
    return {
        "loss_mix": lam * compare(query["image"], key, "image"),
        "loss_global": (1 - lam) * compare(query["global"], other["global"], "global"),
        "loss_local": (1 - lam) * compare(query["local"], other["local"], "local"),
        "loss_local_global": (1 - lam) * compare(query["local"], other["global"], "local"),
    }


def _naive_byol(
    model: Any, x: list[Tensor], mixed: list[MixedView], intra: bool
) -> dict[str, Tensor]:
    """Both directions, each by forward passes of its own."""

    def compare(query: Tensor, key: Tensor, region: str) -> Tensor:
        head = model.head if region == "image" else model.region_head
        prediction = head.predictor([query])[0]
        return -2 * (F.normalize(prediction, dim=1) * F.normalize(key, dim=1)).sum(dim=1).mean()

    backbone, neck = model.target_net.module
    sums: dict[str, Tensor] = {}
    for views_, pair in ((x, mixed), (x[::-1], mixed[::-1])):
        online = [_embedded(model.backbone, model.neck, model.region_neck, one) for one in pair]
        with torch.no_grad():
            target = [_embedded(backbone, neck, model.region_neck_k.module, one) for one in pair]
            key = neck(backbone(views_[1]))[0]
        if intra:
            losses = _approach_1(compare, online, target, key, 0.3)
        else:
            losses = _approach_2(compare, pair, online, target, key)
        losses["loss_clean"] = compare(model.neck(model.backbone(views_[0]))[0], key, "image")
        for name, value in losses.items():
            sums[name] = sums.get(name, 0) + value
    return sums


def _naive_simclr(
    model: Any, x: list[Tensor], mixed: list[MixedView], intra: bool
) -> dict[str, Tensor]:
    """NT-Xent anchor by anchor; the clean views share a batch, each mixture has its own."""

    def compare(query: Tensor, key: Tensor, region: str) -> Tensor:
        rows = F.normalize(torch.cat([query, key]), dim=1)
        size, losses = len(query), []
        for i in range(2 * size):
            pair = (i + size) % (2 * size)
            others = [j for j in range(2 * size) if j != i]
            logits = (rows[others] @ rows[i] / 0.2).double()
            losses.append(-F.log_softmax(logits, dim=0)[others.index(pair)])
        return torch.stack(losses).mean()

    clean = (
        model.neck(model.backbone(torch.stack(x, 1).flatten(0, 1)))[0]
        .unflatten(0, (8, 2))
        .unbind(1)
    )
    online = [_embedded(model.backbone, model.neck, model.region_neck, one) for one in mixed]
    if intra:
        losses = _approach_1(compare, online, online, clean[1], 0.3)
    else:
        losses = _approach_2(compare, mixed, online, online, clean[1])
    return losses | {"loss_clean": compare(clean[0], clean[1], "image")}


@pytest.mark.parametrize("intra", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_the_loss_is_the_naive_one(method: str, intra: bool) -> None:
    options = {"symmetric": method == "byol"} | ({"lam": 0.3} if intra else {})
    model = build(METHODS[method](intra_head(**options) if intra else inter_head(**options)))
    train(model, 2)
    twin = copy.deepcopy(model)
    twin.step_momentum()
    x = views(seed=7)
    mixed = _intra(x) if intra else _inter(x)
    losses = model(x, mode="loss", mixtures=mixed)
    expected = (_naive_byol if method == "byol" else _naive_simclr)(twin, x, mixed, intra)
    assert set(losses) == set(expected)
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value.item(), abs=1e-5), name
    for one, values in ((model, losses), (twin, expected)):
        one.zero_grad()
        total(values).backward()
    for (name, a), b in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        if a.grad is not None:
            assert (a.grad - b.grad).abs().max() <= 1e-3 * b.grad.abs().max().clamp_min(1e-2), name


@pytest.mark.parametrize("head", [inter_head(), intra_head()])
@pytest.mark.parametrize("method", METHODS)
def test_every_parameter_that_trains_gets_a_finite_gradient(method: str, head: dict) -> None:
    model = build(METHODS[method](head))
    for value in train(model, 3):
        assert torch.isfinite(value)
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("head", [inter_head(), intra_head()])
@pytest.mark.parametrize("method", METHODS)
def test_a_restored_model_goes_on_bit_by_bit(method: str, head: dict) -> None:
    model, histories = build(METHODS[method](head)), []
    train(model, 2)
    restored = build(METHODS[method](head), seed=5)
    restored.load_state_dict(model.state_dict())
    for one in (model, restored):
        histories.append(train(one, 2))
    assert all(torch.equal(a, b) for a, b in zip(*histories, strict=True))


@pytest.mark.parametrize(
    ("method", "symmetric", "online", "target"),
    [("byol", False, 3, 3), ("byol", True, 4, 4), ("simclr", False, 3, 0)],
)
def test_each_embedding_is_computed_once(
    method: str, symmetric: bool, online: int, target: int
) -> None:
    """SimCLR's clean views are one forward pass."""
    model, calls = (
        build(METHODS[method](inter_head(symmetric=symmetric))),
        {"online": 0, "target": 0},
    )
    model.backbone.register_forward_hook(
        lambda *_: calls.__setitem__("online", calls["online"] + 1)
    )
    if method == "byol":
        encoder = model.target_net.module[0]
        encoder.register_forward_hook(lambda *_: calls.__setitem__("target", calls["target"] + 1))
    train(model, 1)
    assert calls == {"online": online, "target": target}


def test_the_copy_of_the_region_neck_follows_the_target_networks_cosine() -> None:
    model = build(_byol(inter_head()))
    wrapper = OptimWrapper(sgd(model), accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 6)
    with torch.no_grad():
        model.region_neck_k.module.conv.weight.zero_()
    for step in range(6):
        model.train_step({"inputs": views(seed=step), "data_samples": None}, wrapper)
        if step == 0:
            assert torch.equal(
                model.region_neck_k.module.conv.weight.ne(0).all(), torch.tensor(True)
            )
        assert model.region_neck_k.steps.item() == model.target_net.steps.item()


def test_without_a_mixer_state_keys_are_the_parents() -> None:
    for method, parent in (
        (_byol, byol("mmpretrain.BYOL")),
        (_simclr, simclr("mmpretrain.SimCLR")),
    ):
        cfg = method(inter_head())
        cfg["data_preprocessor"]["mixer"] = None
        assert build(cfg).state_dict().keys() == build(parent).state_dict().keys()


def test_byol_asks_for_a_head_of_regions() -> None:
    with pytest.raises(
        ValueError, match="region_head of MixBYOL is None and the mix head compares regions"
    ):
        build(_byol(inter_head(), region_head=None))
    model = build(_byol(inter_head(global_global=0, local_local=0), region_head=None))
    assert model.region_head is None


@pytest.mark.parametrize("method", METHODS)
def test_bfloat16_changes_the_loss_no_more_than_its_rounding(method: str) -> None:
    model, x = build(METHODS[method](inter_head())), views()
    mixed = _inter(x)
    exact = copy.deepcopy(model)(x, mode="loss", mixtures=mixed)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(x, mode="loss", mixtures=mixed)
    for name, value in exact.items():
        assert rounded[name].dtype == torch.float32
        assert rounded[name].item() == pytest.approx(value.item(), rel=0.05, abs=0.05)


# -- two ranks --------------------------------------------------------------------------------------------------------


def _half(rank: int) -> list[dict[str, Tensor]]:
    """Losses of this rank's half of a batch, batch statistics left out."""
    found = []
    with run_length():
        for method in METHODS.values():
            model = build(method(inter_head()))
            model.backbone.eval()
            x = [view.chunk(2)[rank] for view in views(seed=7)]
            mixed = _inter(x)
            losses = model(x, mode="loss", mixtures=mixed)
            found.append({name: value.detach() for name, value in losses.items()})
    return found


def test_two_ranks_contrast_regions_with_those_of_both() -> None:
    (byol_one, simclr_one), (byol_two, simclr_two) = run_ranks(_half)
    alone = [_half(0), _half(1)]
    for name, value in byol_one.items():
        assert value.item() == pytest.approx(alone[0][0][name].item(), abs=1e-5), name
        assert byol_two[name].item() == pytest.approx(alone[1][0][name].item(), abs=1e-5), name
    for name, value in simclr_one.items():
        assert value.item() > alone[0][1][name].item() + 0.1, name  # twice as many negatives
        assert simclr_two[name].item() > alone[1][1][name].item() + 0.1, name
