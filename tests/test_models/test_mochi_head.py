"""MoCHi's negatives against a naive transcription, and MoCo with them."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.logging import MessageHub
from support.tiny import build, moco, train, views
from torch.nn import functional as F

from mixssl.models.heads import MoCHiHead

HEAD = {"type": "mixssl.MoCHiHead", "hardest": 16, "pairs": 12, "with_query": 5, "seed": 3}


def _head(**changes: int) -> MoCHiHead:
    return MoCHiHead(
        **{"hardest": 6, "pairs": 20, "with_query": 10, "warmup_epochs": 0, "seed": 0} | changes
    )


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    query = F.normalize(torch.randn(4, 8, generator=generator), dim=1)
    queue = F.normalize(torch.randn(8, 32, generator=generator), dim=0)
    return query, queue


def test_negatives_are_mixed_from_the_hardest_as_the_paper_says() -> None:
    head, (query, queue) = _head(), _batch()
    twin = copy.deepcopy(head)
    got = head(query, queue, query @ queue)
    draw = twin.draw(4, twin.random())
    assert got.shape == (4, 32 + 30)
    assert torch.equal(got[:, :32], query @ queue)
    for i, q in enumerate(query):
        order = (q @ queue).argsort(descending=True)[:6]
        for k in range(20):
            a, one, two = draw.alpha[i, k], draw.first[i, k], draw.second[i, k]
            mixed = a * queue[:, order[one]] + (1 - a) * queue[:, order[two]]
            assert got[i, 32 + k].item() == pytest.approx(
                (q @ mixed / mixed.norm()).item(), abs=1e-6
            )
        for k in range(10):
            b = draw.beta[i, k]
            mixed = b * q + (1 - b) * queue[:, order[draw.single[i, k]]]
            assert got[i, 52 + k].item() == pytest.approx(
                (q @ mixed / mixed.norm()).item(), abs=1e-6
            )


def test_a_pair_is_two_keys_and_the_query_never_outweighs_one() -> None:
    draw = _head(pairs=500, with_query=500).draw(20, torch.Generator().manual_seed(0))
    assert (draw.first != draw.second).all()
    for ranks in (draw.first, draw.second, draw.single):
        assert sorted(ranks.unique().tolist()) == [0, 1, 2, 3, 4, 5]
    assert draw.beta.max() < 0.5 and draw.beta.mean().item() == pytest.approx(0.25, abs=0.01)
    assert draw.alpha.mean().item() == pytest.approx(0.5, abs=0.01)


def test_negatives_mixed_with_the_query_are_harder_than_their_keys() -> None:
    head, (query, queue) = _head(hardest=2, pairs=0, with_query=200), _batch()
    extra = head(query, queue, query @ queue)[:, 32:]
    second = (query @ queue).topk(2, dim=1).values[:, 1:]
    assert (extra >= second - 1e-6).all()


def test_synthetic_negatives_are_constants_to_the_gradient() -> None:
    head, (query, queue) = _head(pairs=1, with_query=1), _batch()
    query.requires_grad_()
    twin = copy.deepcopy(head)
    head(query, queue, query @ queue)[:, 32:].sum().backward()
    draw = twin.draw(4, twin.random())
    order = (query @ queue).argsort(dim=1, descending=True)
    q, i = query.detach()[2], 2
    one, two = (queue[:, order[i, ranks[i, 0]]] for ranks in (draw.first, draw.second))
    pair = F.normalize(draw.alpha[i, 0] * one + (1 - draw.alpha[i, 0]) * two, dim=0)
    single = queue[:, order[i, draw.single[i, 0]]]
    with_query = F.normalize(draw.beta[i, 0] * q + (1 - draw.beta[i, 0]) * single, dim=0)
    assert torch.allclose(query.grad[2], pair + with_query, atol=1e-6)


def test_moco_contrasts_with_them_too() -> None:
    model, x = build(moco(hard_negatives=HEAD | {"warmup_epochs": 0})), views()
    twin = copy.deepcopy(model)
    twin.update_momentum()
    loss = model(x, mode="loss")["loss_clean"]
    query = F.normalize(twin.neck(twin.backbone(x[0]))[0])
    with torch.no_grad():
        key = F.normalize(twin.encoder_k(x[1])[0])
    negatives = twin.hard_negatives(query, twin.queue, query @ twin.queue)
    assert negatives.shape == (8, 64 + 17)
    logits = torch.cat([(query * key).sum(1, keepdim=True), negatives], dim=1) / 0.2
    expected = F.cross_entropy(logits, torch.zeros(8, dtype=torch.long))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)


def test_it_runs_beside_a_mixture_which_keeps_its_negatives() -> None:
    cfg = moco(mixer={"type": "mixssl.UnMix"})
    plain, ours = build(cfg), build(cfg | {"hard_negatives": HEAD | {"warmup_epochs": 0}})
    for model in (plain, ours):
        torch.manual_seed(0)
        model.queue.copy_(F.normalize(torch.randn_like(model.queue), dim=0))
    ours.load_state_dict(plain.state_dict(), strict=False)
    data = [
        model.data_preprocessor({"inputs": views(), "data_samples": None}, True)
        for model in (plain, ours)
    ]
    a, b = (model(**one, mode="loss") for model, one in zip((plain, ours), data, strict=True))
    assert torch.equal(a["loss_mix"], b["loss_mix"])
    assert b["loss_clean"] > a["loss_clean"]


def test_same_seed_same_training_and_a_restored_model_goes_on() -> None:
    cfg = moco(hard_negatives=HEAD | {"warmup_epochs": 0})
    one, two = build(cfg), build(cfg)
    assert all(torch.equal(a, b) for a, b in zip(train(one, 3), train(two, 3), strict=True))
    restored = build(cfg, seed=5)
    restored.load_state_dict(one.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(train(one, 2), train(restored, 2), strict=True))
    assert one.hard_negatives.random.step.item() == 5


def test_evaluation_and_warmup_make_none() -> None:
    head, (query, queue) = _head(warmup_epochs=2), _batch()
    similarity = query @ queue
    hub = MessageHub.get_instance("test_mochi_head")
    try:
        for done, extra in ((0, 0), (19, 0), (20, 30), (99, 30)):
            hub.update_info_dict({"iter": done, "max_iters": 100, "max_epochs": 10})
            assert head(query, queue, similarity).shape[1] == 32 + extra
    finally:
        MessageHub._instance_dict.pop("test_mochi_head")
    assert head.random.step.item() == 2
    assert head.eval()(query, queue, similarity) is similarity
    assert head.random.step.item() == 2


def test_what_can_not_work_is_refused() -> None:
    with pytest.raises(ValueError, match=r"hardest of MoCHiHead is 65 and must lie in \[2, 64\]"):
        build(moco(hard_negatives=HEAD | {"hardest": 65}))
    for name, value in (("hardest", 1), ("pairs", -1), ("with_query", -1), ("warmup_epochs", -1)):
        with pytest.raises(ValueError, match=f"{name} of MoCHiHead is {value} and must be >="):
            _head(**{name: value})
