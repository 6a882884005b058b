"""Targets that are means of embeddings: what is compared, what is encoded, and what is refused."""

from __future__ import annotations

import copy

import pytest
import torch
from support.methods import barlowtwins, simsiam
from support.tiny import build, moco, views
from torch.nn import functional as F

from mixssl.mixing import MixUp, Stack
from mixssl.models.heads import BlendHead, StackHead
from mixssl.structures import Blend, EmbeddingId, evenly


def test_a_blend_is_a_mean_in_single_precision() -> None:
    one, other = EmbeddingId(1), EmbeddingId(2)
    lam = torch.tensor([0.25, 1.0])
    blend = Blend(((one, None, lam), (other, torch.tensor([1, 0]), 1 - lam)))
    values = {one: torch.tensor([[4.0], [8.0]]), other: torch.tensor([[0.0], [16.0]])}
    assert blend.of(values).tolist() == [[13.0], [8.0]]
    assert blend.of({eid: z.bfloat16() for eid, z in values.items()}).dtype == torch.float32
    assert evenly([one]) == one and evenly([one, other]) == evenly([one, other])
    assert blend.numbered(lambda view: view + 3).parts[1][0] == EmbeddingId(5)


def test_terms_of_the_head() -> None:
    x = views(4, count=3)
    (mixed,) = MixUp(partner_view=1)(x, torch.Generator().manual_seed(0))
    (term,) = BlendHead(pairing="own", loss_weight=2.0).terms([mixed], 3)
    assert isinstance(term.target, Blend) and term.weight == 2.0 and not term.per_row
    assert [part[0].view for part in term.target.parts] == [0, 1]
    (term,) = BlendHead().terms([mixed], 3)
    assert [eid.view for eid in term.targets] == [1, 1, 2, 2]
    assert torch.allclose(sum(part[2] for part in term.target.parts), torch.ones(4))
    stacked = Stack([MixUp(), MixUp()])(x, torch.Generator().manual_seed(0))
    _, last = StackHead([BlendHead(), BlendHead(pairing="own")]).terms(stacked, 3)
    assert last.online == EmbeddingId(4) and [eid.view for eid in last.targets] == [0, 0]


def test_partners_of_another_view_are_those_pixels() -> None:
    x = views(4)
    (mixed,) = MixUp(partner_view=1)(x, torch.Generator().manual_seed(0))
    (plain,) = MixUp()(x, torch.Generator().manual_seed(0))
    assert torch.equal(mixed.partner, plain.partner) and torch.equal(mixed.lam, plain.lam)
    lam = mixed.lam.view(-1, 1, 1, 1)
    expected = lam * x[0] + (1 - lam) * x[1][mixed.partner]
    assert mixed.partner_view == 1 and torch.allclose(mixed.images, expected, atol=1e-6)
    with pytest.raises(ValueError, match="partner_view of MixUp is 2 and must be one of 2 views"):
        MixUp(partner_view=2)(x, torch.Generator())
    with pytest.raises(ValueError, match="partner_view of MixUp is -1"):
        MixUp(partner_view=-1)


def test_two_key_views_are_one_batch_of_the_momentum_encoder() -> None:
    """Of statistics and of the mean; only the mean enters the queue."""
    model, x = build(moco(key_views=2)), views(8, count=3)
    twin = copy.deepcopy(model)
    twin.update_momentum()
    with torch.no_grad():
        raw = twin.encoder_k(torch.cat(x[1:]))[0]
        key = F.normalize(raw[:8] + raw[8:], dim=1)
    query = F.normalize(twin.neck(twin.backbone(x[0]))[0], dim=1)
    logits = torch.cat([(query * key).sum(1, keepdim=True), query @ twin.queue], dim=1) / 0.2
    loss = model(x, mode="loss")["loss_clean"]
    assert loss.item() == pytest.approx(
        (logits.logsumexp(1) - logits[:, 0]).mean().item(), abs=1e-5
    )
    model.after_optimizer_step()
    assert torch.allclose(model.queue[:, :8], key.t(), atol=1e-6) and model.queue_ptr == 8


def test_a_mixture_meets_each_key_view_beside_a_mean_key() -> None:
    model = build(moco(mixer={"type": "mixssl.UnMix"}, key_views=2))
    data = model.data_preprocessor({"inputs": views(count=3), "data_samples": None}, True)
    plan = model.plan(data["inputs"], data["mixtures"])
    assert [term.targets for term in plan.terms[1:]] == [(EmbeddingId(v),) for v in (1, 1, 2, 2)]
    assert model(**data, mode="loss").keys() == {"loss_clean", "loss_mix"}


def test_unit_length_before_barlow_twins_standardises() -> None:
    plain, unit = build(barlowtwins()), build(barlowtwins(normalize=True))
    x = views()
    z = [F.normalize(plain.neck(plain.backbone(view))[0], dim=1) for view in x]
    z = [(v - v.mean(0)) / (v.var(0, unbiased=False) + 1e-5).sqrt() for v in z]
    matrix = z[0].T @ z[1] / len(z[0])
    off = matrix.square().sum() - matrix.diagonal().square().sum()
    expected = (matrix.diagonal() - 1).square().sum() + 0.0051 * off
    loss = unit(x, mode="loss")["loss_clean"]
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(
    ("cfg", "said"),
    [
        (moco(key_views=0), "key_views of MixMoCo is 0 and must be >= 1"),
        (moco(key_views=2, symmetric=True), "key_views of MixMoCo is 2 .* symmetric"),
        (simsiam(num_views=1), "num_views of MixSimSiam is 1 and must be >= 2"),
    ],
)
def test_arguments_out_of_range_are_refused(cfg: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build(cfg)
    with pytest.raises(ValueError, match="pairing of BlendHead is 'all'"):
        BlendHead(pairing="all")


def test_too_few_views_are_refused() -> None:
    for cfg, number in ((moco(key_views=3), 4), (simsiam(num_views=4), 4)):
        with pytest.raises(ValueError, match=f"set num_views of MultiView to {number}"):
            build(cfg)(views(count=3), mode="loss")
