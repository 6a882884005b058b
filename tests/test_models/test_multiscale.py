"""MixMoCo at several sizes against a sum over the sizes, each by a model of its own."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from support.regions import NECK, inter_head
from support.tiny import build, moco, preprocessor, sgd, total, views
from torch import Tensor

from mixssl.mixing import InterCutMix, MultiScale, UnMix
from mixssl.models.heads import InterLocalGlobalHead, MultiScaleHead, UnMixHead
from mixssl.structures import GLOBAL, EmbeddingId


def _views(seed: int = 0, batch: int = 8) -> list[Tensor]:
    return [*views(batch, 16, seed=seed), *views(batch, 8, seed=seed + 100)]


def _cfg(head: dict | None = None, mixer: dict | None = None, **changes: Any) -> dict:
    mixer = {"type": "mixssl.MultiScale", "mixer": mixer or {"type": "mixssl.UnMix"}}
    head = {"type": "mixssl.MultiScaleHead", "head": head or {"type": "mixssl.UnMixHead"}}
    return moco(data_preprocessor=preprocessor(mixer), mix_head=head, extra_sizes=(8,)) | changes


def _single(model: Any, suffix: str, mixer: dict | None, head: dict, **changes: Any) -> Any:
    """A model of one size with the same weights and the queues of that size."""
    cfg = moco(data_preprocessor=preprocessor(mixer), mix_head=head, **changes)
    alone = build(cfg)
    state = {
        name: model.state_dict()[name.replace("queue", f"queue{suffix}", 1)]
        if "queue" in name
        else value
        for name, value in model.state_dict().items()
        if "queue_8" not in name
    }
    alone.load_state_dict(state)
    alone._momentum_due = model._momentum_due
    return alone


def _step(model: Any, seed: int) -> dict[str, Tensor]:
    data = model.data_preprocessor({"inputs": _views(seed), "data_samples": None}, True)
    optimizer = sgd(model)
    losses = model(**data, mode="loss")
    optimizer.zero_grad()
    total(losses).backward()
    optimizer.step()
    return losses


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("regions", [False, True])
def test_the_loss_is_the_sum_over_sizes_each_with_its_own_queue(
    symmetric: bool, regions: bool
) -> None:
    mixer = {"type": "mixssl.InterCutMix" if regions else "mixssl.UnMix"}
    head = inter_head() if regions else {"type": "mixssl.UnMixHead"}
    changes = {"symmetric": symmetric} | ({"region_neck": dict(NECK)} if regions else {})
    model = build(_cfg(head, mixer, **changes))
    for step in range(2):
        _step(model, step)
    x = _views(7)
    mixtures = MultiScale(InterCutMix() if regions else UnMix())(
        x, torch.Generator().manual_seed(3)
    )
    per_size = len(mixtures) // 2
    alone = [_single(model, suffix, mixer, head, **changes) for suffix in ("", "_8")]
    small = [mixed._replace(source=mixed.source - 2) for mixed in mixtures[per_size:]]
    expected = [
        alone[0](x[:2], mode="loss", mixtures=mixtures[:per_size]),
        alone[1](x[2:], mode="loss", mixtures=small),
    ]
    losses = model(x, mode="loss", mixtures=mixtures)
    assert set(losses) == set(expected[0]) == set(expected[1])
    for name, value in losses.items():
        assert value.item() == pytest.approx(
            expected[0][name].item() + expected[1][name].item(), abs=1e-5
        ), name
    model.zero_grad()
    total(losses).backward()
    (total(expected[0]) + total(expected[1])).backward()
    others = zip(alone[0].parameters(), alone[1].parameters(), strict=True)
    for (name, p), (a, b) in zip(model.named_parameters(), others, strict=True):
        if p.requires_grad:
            assert torch.allclose(p.grad, a.grad + b.grad, atol=1e-5), name


def test_clean_keys_go_to_the_queue_of_their_size() -> None:
    model = build(_cfg())
    before = {name: value.clone() for name, value in model.named_buffers() if "queue" in name}
    assert set(before) == {"queue", "queue_ptr", "queue_8", "queue_8_ptr"}
    twin = copy.deepcopy(model)
    twin.step_momentum()
    _step(model, 0)
    x = _views(0)
    for name, view in (("queue", x[1]), ("queue_8", x[3])):
        key = torch.nn.functional.normalize(twin.encoder_k(view)[0], dim=1)
        assert torch.allclose(model.get_buffer(name)[:, :8], key.t(), atol=1e-6)
        assert torch.equal(model.get_buffer(name)[:, 8:], before[name][:, 8:])
        assert model.get_buffer(f"{name}_ptr").item() == 8


def test_a_shared_queue_takes_the_keys_of_all_sizes() -> None:
    model = build(_cfg(share_queue=True))
    assert not any("queue_8" in name for name in model.state_dict())
    for step in range(5):
        assert all(torch.isfinite(value) for value in _step(model, step).values())
    assert model.queue_ptr.item() == 5 * 16 % 64


def test_a_resumed_model_goes_on_bit_by_bit() -> None:
    model, histories = build(_cfg()), []
    torch.manual_seed(1)
    for step in range(3):
        _step(model, step)
    restored = build(_cfg(), seed=5)
    restored.load_state_dict(model.state_dict())
    for one in (model, restored):
        torch.manual_seed(2)
        histories.append([total(_step(one, step)).detach() for step in range(3)])
    assert all(torch.equal(a, b) for a, b in zip(*histories, strict=True))


def test_without_a_mixer_the_sizes_are_trained_all_the_same() -> None:
    model = build(_cfg(data_preprocessor=preprocessor()))
    losses = model(_views(), mode="loss")
    alone = [_single(model, suffix, None, {"type": "mixssl.UnMixHead"}) for suffix in ("", "_8")]
    expected = [
        one(x, mode="loss")["loss_clean"]
        for one, x in zip(alone, (_views()[:2], _views()[2:]), strict=True)
    ]
    assert set(losses) == {"loss_clean"}
    assert losses["loss_clean"].item() == pytest.approx(sum(expected).item(), abs=1e-5)


def test_forwards_are_one_per_embedding() -> None:
    model, calls = build(_cfg()), {"online": 0, "target": 0}
    model.backbone.register_forward_hook(
        lambda *_: calls.__setitem__("online", calls["online"] + 1)
    )
    model.encoder_k.module[0].register_forward_hook(
        lambda *_: calls.__setitem__("target", calls["target"] + 1)
    )
    _step(model, 0)
    assert calls == {"online": 4, "target": 2}


# -- labels -----------------------------------------------------------------------------------------------------------


def test_terms_stay_within_a_size() -> None:
    mixtures = MultiScale(UnMix())(_views(), torch.Generator().manual_seed(0))
    terms = MultiScaleHead(UnMixHead()).terms(mixtures, 4)
    assert [(term.online, term.target) for term in terms] == [
        (EmbeddingId(4), EmbeddingId(1))
    ] * 2 + [(EmbeddingId(5), EmbeddingId(3))] * 2
    assert torch.equal(terms[0].weight, mixtures[0].lam) and torch.equal(
        terms[2].weight, mixtures[1].lam
    )
    assert not torch.equal(terms[0].weight, terms[2].weight)
    pairs = MultiScale(UnMix(views=(0, 1)))(_views(), torch.Generator().manual_seed(0))
    mixed = MultiScaleHead(UnMixHead(pairing="mixed")).terms(pairs, 4)
    assert [(pair.first, pair.second) for pair in mixed] == [
        (EmbeddingId(4), EmbeddingId(5)),
        (EmbeddingId(6), EmbeddingId(7)),
    ]


def test_regions_stay_within_a_size() -> None:
    mixtures = MultiScale(InterCutMix())(_views(), torch.Generator().manual_seed(0))
    terms = MultiScaleHead(InterLocalGlobalHead()).terms(mixtures, 4)
    found = [(term.online, term.target) for term in terms if term.name == "loss_global"]
    assert (
        found
        == [(EmbeddingId(4, GLOBAL), EmbeddingId(5, GLOBAL))] * 2
        + [(EmbeddingId(6, GLOBAL), EmbeddingId(7, GLOBAL))] * 2
    )


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="can't carry MixCoHead, whose softmax runs over one bank"):
        MultiScaleHead({"type": "mixssl.MixCoHead"})
    with pytest.raises(
        ValueError, match="mixes views of 2 sizes and extra_sizes of MixMoCo is \\(\\)"
    ):
        build(_cfg(extra_sizes=()))
    with pytest.raises(
        ValueError, match="mixes views of 1 sizes and extra_sizes of MixMoCo is \\(8,\\)"
    ):
        build(moco(mixer={"type": "mixssl.UnMix"}, extra_sizes=(8,)))
    with pytest.raises(
        ValueError, match="extra_sizes of MixMoCo is \\(8, 8\\) and must name distinct widths"
    ):
        build(_cfg(extra_sizes=(8, 8)))
    with pytest.raises(
        ValueError, match="MultiScaleHead reads mixtures laid out as scales, and UnMix"
    ):
        build(
            moco(
                mixer={"type": "mixssl.UnMix"},
                mix_head={"type": "mixssl.MultiScaleHead", "head": UnMixHead()},
            )
        )
    with pytest.raises(ValueError, match="InterLocalGlobalHead reads mixtures .*, and UnMix"):
        build(_cfg(inter_head(), region_neck=dict(NECK)))
    model = build(_cfg())
    with pytest.raises(
        ValueError,
        match=r"views \[16, 16\] pixels wide and needs two of another size, then \[8, 8\]",
    ):
        model(views(), mode="loss")
    with pytest.raises(ValueError, match=r"got views \[8, 8, 8, 8\]"):
        model([*views(8, 8), *views(8, 8)], mode="loss")
