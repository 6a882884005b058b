"""Learned mixtures: what is rendered, who judges it, and whom a gradient reaches."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.logging import MessageHub
from support.amix import BLOCK, amix
from support.methods import byol, simclr, simsiam
from support.methods_more import run_length
from support.tiny import build, moco, sgd, total, train, views
from torch import nn
from torch.nn import functional as F

from mixssl.structures import MixedView

METHODS = {"moco": moco, "simclr": simclr, "byol": byol, "simsiam": simsiam}


@pytest.fixture(autouse=True)
def _known_length():
    with run_length():
        yield


def _data(model: nn.Module, seed: int = 0) -> dict:
    return model.data_preprocessor(
        {"inputs": views(seed=seed), "data_samples": None}, training=True
    )


def _parts(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """What trains in the block, and what trains elsewhere."""
    block = [*model.mix_block.parameters()]
    own = {id(p) for p in block}
    return block, [p for p in model.parameters() if p.requires_grad and id(p) not in own]


@pytest.mark.parametrize("name", METHODS)
def test_a_gradient_reaches_the_block_or_the_encoder_never_both(name: str) -> None:
    model = build(amix(METHODS[name], block={"mask_margin": 0.0}))
    train(model, 1)  # so that the momentum encoder differs from the online one
    losses = model(**_data(model), mode="loss")
    block, rest = _parts(model)
    for loss_name, value in losses.items():
        found = torch.autograd.grad(value, [*block, *rest], retain_graph=True, allow_unused=True)
        reached = [g is not None and bool((g != 0).any()) for g in found]
        of_block = loss_name.startswith(("loss_block", "loss_mask"))
        assert any(reached[: len(block)]) == of_block, loss_name
        assert any(reached[len(block) :]) == (not of_block), loss_name
    assert {"loss_clean", "loss_mix", "loss_block", "loss_block_two_way", "loss_mask_mean"} <= set(
        losses
    )


def _info_nce(query, keys, queue, temperature):
    """Per row, a softmax over one key and the queue, in the plainest words."""
    losses = []
    for q, k in zip(query, keys, strict=True):
        logits = torch.cat([(q * k).sum()[None], q @ queue]) / temperature
        losses.append(-logits.log_softmax(0)[0])
    return torch.stack(losses)


def test_amix_i_on_moco_is_its_transcription() -> None:
    """Losses and all gradients against the paper's steps, written out for one step of MoCo v2."""
    model = build(amix(moco, block={"dropout": 0.0}))
    train(model, 1)
    data, twin = _data(model, seed=5), copy.deepcopy(model)
    model.zero_grad()  # of the step before
    assert twin._momentum_due
    losses = model(**data, mode="loss")
    total(losses).backward()

    (x0, x1), (for_encoder, for_block) = data["inputs"], data["mixtures"]
    query = F.normalize(twin.neck(twin.backbone(x0))[0], dim=1)
    twin.encoder_k.update_parameters(nn.Sequential(twin.backbone, twin.neck))
    backbone, neck = twin.encoder_k.module
    with torch.no_grad():
        keys = F.normalize(neck(backbone(x1))[0], dim=1)
        maps = backbone.layer3(backbone.layer2(backbone.layer1(_stem(backbone, x0))))

    def mixed(mixture: MixedView, mask: torch.Tensor) -> torch.Tensor:
        return mask * x0 + (1 - mask) * x0[mixture.partner]

    def loss(embedding: torch.Tensor, mixture: MixedView) -> torch.Tensor:
        own = _info_nce(embedding, keys, twin.queue, 0.2)
        other = _info_nce(embedding, keys[mixture.partner], twin.queue, 0.2)
        return (mixture.lam * own + (1 - mixture.lam) * other).mean()

    rows = for_encoder.index, for_encoder.partner, for_encoder.lam
    with torch.no_grad():
        mask = twin.mix_block(maps, *rows, (16, 16))
        mask = torch.stack(
            [_adjusted(m, lam) for m, lam in zip(mask, for_encoder.lam, strict=True)]
        )
    embedding = F.normalize(twin.neck(twin.backbone(mixed(for_encoder, mask)))[0], dim=1)
    expected = {
        "loss_clean": _info_nce(query, keys, twin.queue, 0.2).mean(),
        "loss_mix": loss(embedding, for_encoder),
    }
    rows = for_block.index, for_block.partner, for_block.lam
    mask = twin.mix_block(maps, *rows, (16, 16))
    embedding = F.normalize(neck(backbone(mixed(for_block, mask)))[0], dim=1)
    expected["loss_block"] = loss(embedding, for_block)
    gap = ((embedding * keys).sum(1) - (embedding * keys[for_block.partner]).sum(1)) / 0.2
    lam = for_block.lam
    duel = -lam * torch.sigmoid(gap).log() - (1 - lam) * torch.sigmoid(-gap).log()
    expected["loss_block_two_way"] = duel.mean()
    mean = mask.mean((1, 2, 3))
    expected["loss_mask_mean"] = 0.1 * ((lam - mean).abs() - 0.1).clamp(min=0).mean()
    expected["loss_mask_var"] = -0.1 * mask.var((1, 2, 3), unbiased=False).mean()

    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, rtol=1e-5, atol=1e-6, msg=name)
    total(expected).backward()
    for (name, p), twin_p in zip(model.named_parameters(), twin.parameters(), strict=True):
        if p.requires_grad:
            torch.testing.assert_close(p.grad, twin_p.grad, rtol=1e-4, atol=1e-6, msg=name)


def _stem(backbone: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return backbone.relu(backbone.norm1(backbone.conv1(x)))


def _adjusted(mask: torch.Tensor, lam: torch.Tensor) -> torch.Tensor:
    mean = mask.mean()
    return mask * lam / mean if mean > lam else 1 - (1 - mask) * (1 - lam) / (1 - mean)


def test_nothing_of_the_teacher_is_remembered_from_mixtures() -> None:
    """Running statistics of the key encoder are what its clean keys leave, with AMix and without."""
    mixed, plain = build(amix(moco)), build(moco())
    plain.load_state_dict(mixed.state_dict(), strict=False)
    data = _data(mixed)
    mixed(**data, mode="loss")
    plain(inputs=data["inputs"], mode="loss")
    for (name, a), b in zip(
        mixed.encoder_k.named_buffers(), dict(plain.encoder_k.named_buffers()).values(), strict=True
    ):
        assert torch.equal(a, b), name


def test_maps_that_a_target_pass_shows_cost_no_pass_of_their_own() -> None:
    """BYOL's target network encodes the mixed view anyway: it sees two views and the block's mixture."""
    model = build(amix(byol))
    passes = []
    model.target_net.module[0].layer1.register_forward_hook(lambda *_: passes.append(1))
    model(**_data(model), mode="loss")
    assert len(passes) == 3


def test_shown_maps_are_those_of_a_pass_of_their_own() -> None:
    model = build(amix(byol, block={"dropout": 0.0}))
    train(model, 1)
    data, twin = _data(model), copy.deepcopy(model)
    twin.targets_show_maps = False
    for (name, a), b in zip(
        model(**data, mode="loss").items(), twin(**data, mode="loss").values(), strict=True
    ):
        torch.testing.assert_close(a, b, msg=name)


def test_masks_for_the_encoder_have_lam_as_their_mean_and_no_graph() -> None:
    model = build(amix(moco))
    data = _data(model)
    step = model.plan(**data)
    with model.parts[0].around_targets(model, step):
        pass
    encoder, block = step.mixtures
    torch.testing.assert_close(encoder.mask.mean((1, 2, 3)), encoder.lam)
    assert not encoder.images.requires_grad and block.images.requires_grad
    assert torch.equal(block.images.detach(), block.images.detach().clamp(-1e3, 1e3))
    x0 = data["inputs"][0]
    torch.testing.assert_close(
        block.images, block.mask * x0 + (1 - block.mask) * x0[block.partner], rtol=1e-5, atol=1e-5
    )


def test_looking_at_mixtures_changes_nothing() -> None:
    model = build(amix(simclr))
    train(model, 1)
    data = _data(model)
    before = copy.deepcopy(model.state_dict())
    rendered = model.eval().render_mixtures(data["inputs"], data["mixtures"])
    again = model.render_mixtures(data["inputs"], data["mixtures"])
    assert all(torch.equal(a.images, b.images) for a, b in zip(rendered, again, strict=True))
    assert not any(m.images.requires_grad or m.mask.requires_grad for m in rendered)
    changed = [n for n, value in model.state_dict().items() if not torch.equal(value, before[n])]
    assert not changed
    assert all(p.requires_grad for p in model.backbone.parameters())


def test_a_method_without_a_momentum_encoder_gets_a_teacher_that_follows() -> None:
    model = build(amix(simclr))
    optimizer = sgd(model)
    total(model(**_data(model), mode="loss")).backward()
    pairs = [
        (a, b)
        for own, copied in zip((model.backbone, model.neck), model.teacher.module, strict=True)
        for a, b in zip(own.parameters(), copied.parameters(), strict=True)
    ]
    assert all(torch.equal(a, b) for a, b in pairs), "the first move is a copy"
    optimizer.step()
    assert any(not torch.equal(a, b) for a, b in pairs)
    before = [b.clone() for _, b in pairs]
    model(**_data(model), mode="loss")
    for (a, b), old in zip(pairs, before, strict=True):
        # The first step of a long cosine: momentum is 0.999 but for rounding.
        torch.testing.assert_close(b, old + 0.001 * (a - old), rtol=1e-3, atol=1e-6)


def test_mocos_momentum_goes_to_its_end_along_a_cosine() -> None:
    MessageHub.get_current_instance().update_info("max_iters", 4)
    model = build(moco(momentum=0.5, end_momentum=0.0))
    optimizer = sgd(model)
    for step, weight in enumerate([1.0, 0.4267766952966369, 0.25, 0.0732233047033631]):
        old = [p.clone() for p in model.encoder_k.module.parameters()]
        online = [
            p.detach().clone() for p in (*model.backbone.parameters(), *model.neck.parameters())
        ]
        total(model(inputs=views(seed=step), mode="loss")).backward()
        for a, b, c in zip(old, online, model.encoder_k.module.parameters(), strict=True):
            torch.testing.assert_close(c, a + weight * (b - a), rtol=1e-4, atol=1e-6)
        optimizer.step()


def test_without_a_mixer_there_is_no_block_and_no_teacher() -> None:
    cfg = amix(simclr)
    cfg["data_preprocessor"]["mixer"] = None
    model = build(cfg)
    assert model.mix_block is None and model.mix_guide is None
    assert model.state_dict().keys() == build(simclr()).state_dict().keys()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"mix_block": None}, "mix_block of MixMoCo is None"),
        ({"joint_bn": True}, "joint_bn=False"),
        ({"mix_block": BLOCK | {"layer": "layer9"}}, "layer9"),
        ({"mix_head": {"type": "mixssl.UnMixHead"}}, "UnMixHead reads mixtures"),
        ({"end_momentum": 2.0}, "end_momentum of MixMoCo is 2.0"),
    ],
)
def test_what_does_not_fit_is_refused_when_built(changes: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        build(amix(moco, **changes))


def test_a_run_of_unknown_length_is_refused_before_it_starts() -> None:
    model = build(amix(simclr))
    data = _data(model)
    hub = MessageHub.get_current_instance()
    hub.update_info("max_iters", None)
    with pytest.raises(ValueError, match="max_iters"):
        model(**data, mode="loss")


def test_reduced_precision_gives_finite_losses_near_those_of_full() -> None:
    model = build(amix(moco, block={"dropout": 0.0}))
    data, twin = _data(model), copy.deepcopy(model)
    full = model(**data, mode="loss")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = twin(**data, mode="loss")
    total(reduced).backward()
    for name, value in full.items():
        assert abs(value - reduced[name]) < 0.05 * (1 + abs(value)), name
    assert all(p.grad.isfinite().all() for p in twin.parameters() if p.grad is not None)
