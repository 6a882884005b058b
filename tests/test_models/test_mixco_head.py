"""MixCo on MoCo against a naive transcription of the paper's soft cross-entropy."""

from __future__ import annotations

import copy

import pytest
import torch
from support.tiny import build, moco, total, train, views
from torch import Tensor, nn
from torch.nn import functional as F

from mixssl.mixing import global_mixture, halves_mixture
from mixssl.models.heads import MixCoHead
from mixssl.structures import EmbeddingId

MIXER = {"type": "mixssl.MixCo"}
HEAD = {"type": "mixssl.MixCoHead"}


def _model(joint_bn: bool = False, **head: float) -> nn.Module:
    return build(moco(mixer=MIXER, mix_head=HEAD | head, joint_bn=joint_bn))


def _embed(encoder: nn.Sequential, images: Tensor) -> Tensor:
    return F.normalize(encoder(images)[0], dim=1)


def _naive(
    model: nn.Module, x: list[Tensor], lam: Tensor, tau: float, joint: bool
) -> tuple[Tensor, Tensor]:
    """Eq. 1 and eq. 3, one row after the other, in double precision."""
    online = nn.Sequential(model.backbone, model.neck)
    half = len(x[0]) // 2
    weight = lam.view(-1, 1, 1, 1)
    images = weight * x[0][:half] + (1 - weight) * x[0][half:]
    if joint:
        query, mixed = _embed(online, torch.cat([x[0], images])).split([2 * half, half])
    else:
        query, mixed = _embed(online, x[0]), _embed(online, images)
    with torch.no_grad():
        key = _embed(model.encoder_k, x[1])
    clean, soft = [], []
    for q, k in zip(query.double(), key.double(), strict=True):
        logits = torch.cat([(q @ k)[None], q @ model.queue.double()]) / model.head.temperature
        clean.append(-logits.log_softmax(0)[0])
    everything = torch.cat([key.t(), model.queue], dim=1).double()
    for i in range(half):
        labels = torch.zeros(everything.shape[1], dtype=torch.float64)
        labels[i], labels[i + half] = lam[i], 1 - lam[i]
        soft.append(-(labels * (mixed[i].double() @ everything / tau).log_softmax(0)).sum())
    return torch.stack(clean).mean(), torch.stack(soft).mean()


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("tau", [0.05, 0.5])
def test_the_loss_and_its_gradient_are_the_papers(joint: bool, tau: float) -> None:
    model, x = _model(joint, temperature=tau, loss_weight=0.7), views()
    lam = torch.tensor([0.0, 0.3, 0.9, 1.0])
    twin = copy.deepcopy(model)
    twin.update_momentum()
    losses = model(x, mode="loss", mixtures=[halves_mixture(x[0], 0, lam)])
    clean, soft = _naive(twin, x, lam, tau, joint)
    assert losses["loss_clean"].item() == pytest.approx(clean.item(), abs=1e-6)
    assert losses["loss_mix"].item() == pytest.approx(0.7 * soft.item(), abs=1e-6, rel=1e-6)
    total(losses).backward()
    (clean + 0.7 * soft).backward()
    for (name, a), b in zip(model.named_parameters(), twin.parameters(), strict=True):
        if a.grad is not None:
            assert (a.grad - b.grad).abs().max() <= 2e-4 * b.grad.abs().max().clamp_min(1e-3), name


def test_by_hand() -> None:
    """Two images, one mixture, no queue to speak of: logits 2 and 0 with λ = 0.25."""
    (term,) = MixCoHead(temperature=0.5).terms(
        [halves_mixture(views(2)[0], 0, torch.tensor([0.25]))], 2
    )
    assert (term.online, term.target, term.name) == (EmbeddingId(2), EmbeddingId(1), "loss_mix")
    assert term.positives.tolist() == [[0, 1]] and term.shares.tolist() == [[0.25, 0.75]]
    assert (term.temperature, term.weight) == (0.5, 1.0)


def test_the_cost_is_one_more_forward_of_half_a_batch() -> None:
    model, rows = _model(), {"online": [], "target": []}
    model.backbone.register_forward_pre_hook(lambda _, x: rows["online"].append(len(x[0])))
    model.encoder_k.module[0].register_forward_pre_hook(
        lambda _, x: rows["target"].append(len(x[0]))
    )
    train(model, 1)
    assert rows == {"online": [8, 4], "target": [8]}


def test_joint_statistics_cost_one_forward() -> None:
    model, rows = _model(joint_bn=True), []
    model.backbone.register_forward_pre_hook(lambda _, x: rows.append(len(x[0])))
    train(model, 1)
    assert rows == [12]


def test_a_symmetric_method_can_mix_both_views() -> None:
    model = build(moco(mixer=MIXER | {"views": (0, 1)}, mix_head=HEAD, symmetric=True))
    values = train(model, 3)
    assert all(torch.isfinite(value) for value in values)


def test_it_reads_mixtures_of_whole_batches_too() -> None:
    model, x = _model(), views()
    mixed = global_mixture(x[0], 0, torch.tensor([0.3]))
    assert torch.isfinite(model(x, mode="loss", mixtures=[mixed])["loss_mix"])


def test_a_temperature_so_low_that_a_softmax_underflows_stays_finite() -> None:
    model, x = _model(temperature=0.001), views()
    losses = model(x, mode="loss", mixtures=[halves_mixture(x[0], 0, torch.full((4,), 0.5))])
    total(losses).backward()
    assert torch.isfinite(losses["loss_mix"])
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="temperature of MixCoHead is 0.0 and must be > 0"):
        MixCoHead(temperature=0.0)
