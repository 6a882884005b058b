"""Every mixture's loss on every family of methods, against a naive transcription in plain torch.

The naive losses go row by row in double precision and know nothing of mixssl's: what they take from the model is its
networks, on a twin that has seen the same step. Un-Mix as a second forward pass of the reversed mixture is tested with
each method; here partners are arbitrary, and each row has its own λ where the method allows that.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch
from support.methods import METHODS
from support.methods_more import METHODS as MORE
from support.methods_more import run_length
from support.naive_whitening import naive_whiten
from support.tiny import build, views
from torch import Tensor

from mixssl.registry import MIXERS
from mixssl.structures import MixedView

CONFIGS = METHODS | MORE
TEMPERATURE = 0.2
UNMIX = {"type": "mixssl.UnMixHead"}


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    with run_length():
        yield


def _unit(rows: Tensor) -> Tensor:
    rows = rows.double()
    return rows / (rows**2).sum(dim=1, keepdim=True).sqrt()


class Step(NamedTuple):
    """A model whose momentum has moved, two clean views, mixed pixels, and whether view 0 is a batch's part at all."""

    model: Any
    x: list[Tensor]
    mixed: Tensor
    clean: bool = True

    def online(self, images: Tensor) -> Tensor:
        return self.model.neck(self.model.backbone(images))[0]

    @torch.no_grad()
    def momentum(self, images: Tensor) -> Tensor:
        model = self.model
        name = next(n for n in ("encoder_k", "target_net", "momentum_encoder") if hasattr(model, n))
        return getattr(model, name)(images)[0]


# -- what a mixture is told apart from, by method: queries (M, D), candidates of which the first N are the other view's


def _moco_candidates(step: Step) -> tuple[Tensor, Tensor]:
    keys = _unit(step.momentum(step.x[1]))
    return _unit(step.online(step.mixed)), torch.cat([keys, step.model.queue.t().double()])


def _simclr_candidates(step: Step) -> tuple[Tensor, Tensor]:
    if not step.clean:
        return _unit(step.online(step.mixed)), _unit(step.online(step.x[1]))
    clean = step.online(torch.stack(step.x, 1).flatten(0, 1))
    return _unit(step.online(step.mixed)), _unit(clean)[1::2]


def _mocov3_candidates(step: Step) -> tuple[Tensor, Tensor]:
    prediction = step.model.head.predictor([step.online(step.mixed)])[0]
    return _unit(prediction), _unit(step.momentum(step.x[1]))


CANDIDATES = {
    "MixMoCo": (_moco_candidates, 1.0),
    "MixDenseCL": (_moco_candidates, 0.5),  # the global branch weighs 1 - loss_lambda
    "MixSimCLR": (_simclr_candidates, 1.0),
    "MixMoCoV3": (_mocov3_candidates, 0.4),  # its loss_weight, 2τ
}
"""By method: queries and candidates, and the factor of a comparison."""


def _soft_cross_entropy(
    query: Tensor, candidates: Tensor, mix: MixedView, temperature: float
) -> Tensor:
    """A label over all candidates for each row: λ at the own image, 1 - λ at the partner (MixCo eq. 3, i-Mix §3)."""
    losses = []
    for i, (own, other, lam) in enumerate(_rows(mix)):
        logits = [(query[i] * candidate).sum() / temperature for candidate in candidates]
        log_sum = torch.stack(logits).logsumexp(0)
        losses.append(lam * (log_sum - logits[own]) + (1 - lam) * (log_sum - logits[other]))
    return torch.stack(losses).mean()


def _rows(mix: MixedView) -> list[tuple[int, int, float]]:
    return list(zip(mix.index.tolist(), mix.partner.tolist(), mix.lam.tolist(), strict=True))


# -- loss of a mixture as if row i showed image ``order[i]`` alone, by method: per row, or one for the batch


def _moco(step: Step, order: list[int]) -> list[Tensor]:
    query, candidates = _moco_candidates(step)
    losses, count = [], len(step.x[1])
    for q, j in zip(query, order, strict=True):  # of this device's keys only its own is a candidate
        positive = q @ candidates[j] / TEMPERATURE
        negatives = candidates[count:] @ q / TEMPERATURE
        losses.append(torch.cat([positive[None], negatives]).logsumexp(0) - positive)
    return losses


def _densecl(step: Step, order: list[int]) -> list[Tensor]:
    return [0.5 * value for value in _moco(step, order)]


def _mocov3(step: Step, order: list[int]) -> list[Tensor]:
    query, candidates = _mocov3_candidates(step)
    logits = query @ candidates.t() / TEMPERATURE
    return [0.4 * (row.logsumexp(0) - row[j]) for row, j in zip(logits, order, strict=True)]


def _simclr(step: Step, order: list[int]) -> list[Tensor]:
    """NT-Xent of the mixture and the other view, both of the pair being anchors."""
    query, other = _simclr_candidates(step)
    everything, losses = torch.cat([query, other]), []

    def anchor(a: int, b: int) -> Tensor:
        rest = [k for k in range(len(everything)) if k != a]
        logits = everything[rest] @ everything[a] / TEMPERATURE
        return logits.logsumexp(0) - everything[a] @ everything[b] / TEMPERATURE

    for i, j in enumerate(order):
        pair = (i, len(query) + j)
        losses.append((anchor(*pair) + anchor(*pair[::-1])) / 2)
    return losses


def _predicted(step: Step, target: Tensor, order: list[int]) -> list[Tensor]:
    prediction = _unit(step.model.head.predictor([step.online(step.mixed)])[0])
    target = _unit(target.detach())
    return [-(p @ target[j]) for p, j in zip(prediction, order, strict=True)]


def _byol(step: Step, order: list[int]) -> list[Tensor]:
    return [2 * value for value in _predicted(step, step.momentum(step.x[1]), order)]


def _simsiam(step: Step, order: list[int]) -> list[Tensor]:
    return [0.5 * value for value in _predicted(step, step.online(step.x[1]), order)]


def _barlowtwins(step: Step, order: list[int]) -> Tensor:
    """Cross-correlation of standardised embeddings: ones on the diagonal, zeros beside it."""

    def standardised(z: Tensor) -> Tensor:
        z = z.double() - z.double().mean(0)
        return z / ((z**2).mean(0) + 1e-5).sqrt()

    one, other = standardised(step.online(step.mixed)), standardised(step.online(step.x[1]))
    size, loss = one.shape[1], torch.zeros((), dtype=torch.double)
    for a in range(size):
        for b in range(size):
            entry = (one[:, a] * other[order, b]).mean()
            loss = loss + ((entry - 1) ** 2 if a == b else 0.0051 * entry**2)
    return loss


def _vicreg(step: Step, order: list[int]) -> list[Tensor]:
    """Squared differences row by row, and with each what the mixture's batch varies and repeats."""
    one, other = (step.online(images).double() for images in (step.mixed, step.x[1]))
    count, size = one.shape
    centred = one - one.mean(0)
    own = torch.zeros((), dtype=torch.double)
    for a in range(size):
        deviation = ((centred[:, a] ** 2).sum() / (count - 1) + 1e-4).sqrt()
        own = own + 12.5 * (1 - deviation).clamp_min(0) / size
        for b in range(size):
            if a != b:
                own = own + ((centred[:, a] * centred[:, b]).sum() / (count - 1)) ** 2 / size
    return [25 * ((row - other[j]) ** 2).mean() + own for row, j in zip(one, order, strict=True)]


def _wmse(step: Step, order: list[int]) -> list[Tensor]:
    """Distances of normalised whitened embeddings, in the order of the rows, one group being the batch."""
    maps = torch.cat([step.model.backbone(view)[0] for view in step.x])
    other = step.model.neck((maps,))[0].chunk(2)[1][order]
    shuffled = copy.deepcopy(step.model)._draw_orders(len(order))[0]
    white = [_unit(naive_whiten(z[shuffled])) for z in (step.online(step.mixed), other)]
    return list(((white[0] - white[1]) ** 2).sum(dim=1)[shuffled.argsort()])


def _swav(step: Step, order: list[int]) -> list[Tensor]:
    """Cross-entropy of the mixture's prediction with the other view's codes."""
    unit = step.model.head.loss_module.prototypes.weight
    clean = step.model.neck([step.model.backbone(torch.cat(step.x))]).chunk(2)[1]
    mixed = step.model.neck([step.model.backbone(step.mixed)])
    code = ((clean @ unit.t()).detach().double() / 0.05).exp()
    for _ in range(3):
        code = code / code.sum(dim=0, keepdim=True) / code.shape[1]
        code = code / code.sum(dim=1, keepdim=True) / code.shape[0]
    code = code * code.shape[0]
    logits = (mixed @ unit.t()).double() / 0.1
    return [
        sum(code[j, k] * (row.logsumexp(0) - row[k]) for k in range(len(row)))
        for row, j in zip(logits, order, strict=True)
    ]


def _dino(step: Step, order: list[int]) -> list[Tensor]:
    """Cross-entropy of the student's scores with the teacher's assignment of the other view."""
    with torch.no_grad():
        teacher = step.model.teacher_encoder.module
        assigned = (teacher[1](teacher[0](step.x[1]))[0].double() / 0.04).softmax(dim=1)
    student = (step.online(step.mixed).double() / 0.1).log_softmax(dim=1)
    return [-(assigned[j] * row).sum() for row, j in zip(student, order, strict=True)]


def _distill(step: Step, order: list[int]) -> list[Tensor]:
    """Divergence of two distributions over the teacher's features of the clean views; the queue is empty yet."""
    with torch.no_grad():
        taught = [_unit(step.model.teacher.module(view)[0]) for view in step.x]
    bank, losses = torch.cat(taught), []
    for student, j in zip(_unit(step.online(step.mixed)), order, strict=True):
        wanted = (bank @ taught[1][j] / 0.07).softmax(0)
        found = (bank @ student / 0.07).softmax(0)
        losses.append((wanted * (wanted / found).log()).sum())
    return losses


AS_IF = {
    "MixBYOL": _byol,
    "MixBarlowTwins": _barlowtwins,
    "MixDINO": _dino,
    "MixDenseCL": _densecl,
    "MixDistill": _distill,
    "MixMoCo": _moco,
    "MixMoCoV3": _mocov3,
    "MixSimCLR": _simclr,
    "MixSimSiam": _simsiam,
    "MixSwAV": _swav,
    "MixVICReg": _vicreg,
    "MixWMSE": _wmse,
}
PER_BATCH = ("MixBarlowTwins", "MixWMSE")


def _weighed(name: str, step: Step, mix: MixedView) -> Tensor:
    """λ times the loss of the own images plus 1 - λ times that of the partners (Un-Mix eq. 5, with a λ per row)."""
    own, other = (AS_IF[name](step, order.tolist()) for order in (mix.index, mix.partner))
    if isinstance(own, Tensor):
        return mix.lam[0] * own + (1 - mix.lam[0]) * other
    weights = mix.lam.tolist()
    rows = [w * a + (1 - w) * b for w, a, b in zip(weights, own, other, strict=True)]
    return torch.stack(rows).mean()


# -- the comparison


def _check(model: Any, step: Step, mix: MixedView, naive: Any, clean: bool = True) -> None:
    """Loss within 1e-5, and the gradient within what fp32 leaves."""
    before = [view.clone() for view in (*step.x, mix.images)]
    losses = model(step.x, mode="loss", mixtures=[mix])
    assert ("loss_clean" in losses or "loss_single" in losses) is clean
    assert all(map(torch.equal, before, (*step.x, mix.images)))
    expected = naive(step._replace(clean=clean))
    assert losses["loss_mix"].item() == pytest.approx(expected.item(), abs=1e-5)
    losses["loss_mix"].backward()
    expected.backward()
    compared = 0
    for (name, a), b in zip(model.named_parameters(), step.model.parameters(), strict=True):
        assert (a.grad is None or not a.grad.any()) <= (b.grad is None or b.grad.norm() < 1e-5), (
            name
        )
        if a.grad is not None and b.grad is not None:
            scale = b.grad.abs().max().clamp_min(1e-2)
            assert (a.grad - b.grad).abs().max() <= 1e-3 * scale, name
            compared += 1
    assert compared > 10


def _prepare(name: str, mixer: dict, head: dict, **changes: Any) -> tuple[Any, Step, MixedView]:
    """A model, its twin one momentum step on, and the mixture of view 0 that the mixer draws."""
    model = build(CONFIGS[name](mixer=mixer, mix_head=head, **changes))
    x = views(count=2 + model.mixer.extra_views)
    twin = copy.deepcopy(model)
    twin.update_momentum()
    if name == "MixSwAV":  # its step begins with prototypes of length one
        prototypes = twin.head.loss_module.prototypes.weight
        prototypes.data = _unit(prototypes.data).float()
    (mix,) = MIXERS.build(mixer)(x, torch.Generator().manual_seed(1))
    return model, Step(twin, x[:2], mix.images), mix


SHARED_LAM = ["UnMix", "MixMask", "MixUp", "CutMix", "ResizeMix", "FMix", "SaliencyMix"]
PER_ROW = {"PuzzleMix": False, "MixUp": True, "ResizeMix": True}
"""Policies with a λ per image, and whether they are asked for it; not for methods that compare a batch as a whole."""


@pytest.mark.parametrize("name", AS_IF)
def test_a_mixture_of_rows_weighs_both_images(name: str, subtests: pytest.Subtests) -> None:
    cases = [(policy, False) for policy in SHARED_LAM]
    cases += [] if name in PER_BATCH else list(PER_ROW.items())
    for policy, per_sample in cases:
        with subtests.test(f"{policy}{', λ per image' if per_sample else ''}"):
            _check_rows(name, policy, per_sample)


def _check_rows(name: str, policy: str, per_sample: bool) -> None:
    mixer: dict = {"type": f"mixssl.{policy}"}
    mixer |= {"per_sample": True} if per_sample else {}
    mixer |= {"blocks": (2, 4)} if policy == "PuzzleMix" else {}
    model, step, mix = _prepare(name, mixer, UNMIX)
    assert not torch.equal(mix.partner, mix.index)
    if policy != "PuzzleMix":  # whose transport may end at the same share for every image
        assert (len(mix.lam.unique()) > 1) is per_sample
    _check(model, step, mix, lambda twin: _weighed(name, twin, mix))


@pytest.mark.parametrize("name", AS_IF)
def test_a_mixture_of_crops_stands_for_its_view(name: str) -> None:
    head = {"type": "mixssl.ScaleMixHead", "keep_clean": True}
    model, step, mix = _prepare(name, {"type": "mixssl.ScaleMix"}, head)
    assert len(mix.lam.unique()) > 1 and torch.equal(mix.partner, mix.index)
    whole = mix._replace(lam=torch.ones_like(mix.lam))
    _check(model, step, mix, lambda twin: _weighed(name, twin, whole))


def _blended(name: str, step: Step, mix: MixedView, pairing: str) -> Tensor:
    """A mixture against λ of its own image's embedding and 1 - λ of its partner's, row by row."""
    own, other = (0, 1) if pairing == "own" else (1, 1)
    embed = step.momentum if name == "MixBYOL" else step.online

    def mean(z: list[Tensor]) -> Tensor:
        return torch.stack([lam * z[own][i] + (1 - lam) * z[other][j] for i, j, lam in _rows(mix)])

    z = [embed(view).double() for view in step.x]
    if name == "MixVICReg":
        other = mean(z)
        own = _vicreg(step, list(range(len(other))))  # its distance is to view 1 itself
        wrong = 25 * ((step.online(step.mixed).double() - z[1]) ** 2).mean(1)
        right = 25 * ((step.online(step.mixed).double() - other) ** 2).mean(1)
        return (torch.stack(own) - wrong + right).mean()
    if name != "MixBarlowTwins":
        target = mean(z).detach()
        losses = _predicted(step, target, list(range(len(target))))
        return {"MixBYOL": 2.0, "MixSimSiam": 0.5}[name] * torch.stack(losses).mean()

    def standardised(z: Tensor) -> Tensor:
        return (z - z.mean(0)) / (((z - z.mean(0)) ** 2).mean(0) + 1e-5).sqrt()

    one, clean = standardised(step.online(step.mixed).double()), [standardised(v) for v in z]
    target, loss = mean(clean), torch.zeros((), dtype=torch.double)
    for view in clean if pairing == "own" else clean[1:]:
        for a in range(one.shape[1]):
            for b in range(one.shape[1]):
                found = (one[:, a] * view[:, b]).mean()
                loss = loss + 0.0051 * (found - (target[:, a] * view[:, b]).mean()) ** 2
    return loss


@pytest.mark.parametrize("pairing", ["cross", "own"])
@pytest.mark.parametrize("name", ["MixBYOL", "MixSimSiam", "MixBarlowTwins", "MixVICReg"])
def test_a_blended_target_is_the_mean_of_the_images(name: str, pairing: str) -> None:
    mixer = {"type": "mixssl.MixUp", "per_sample": True}
    mixer |= {"partner_view": 1} if pairing == "own" else {}
    model, step, mix = _prepare(name, mixer, {"type": "mixssl.BlendHead", "pairing": pairing})
    assert len(mix.lam.unique()) > 1
    _check(model, step, mix, lambda twin: _blended(name, twin, mix, pairing))


@pytest.mark.parametrize("temperature", [0.05, 0.5])
@pytest.mark.parametrize("name", CANDIDATES)
def test_mixco_is_a_soft_cross_entropy_over_the_candidates(name: str, temperature: float) -> None:
    """On SimCLR the candidates are the other view's N embeddings, at the paper's 0.5."""
    head = {"type": "mixssl.MixCoHead", "temperature": temperature}
    model, step, mix = _prepare(name, {"type": "mixssl.MixCo"}, head)
    weight = mix.lam.view(-1, 1, 1, 1)
    step = step._replace(mixed=weight * step.x[0][:4] + (1 - weight) * step.x[0][4:])
    candidates, factor = CANDIDATES[name]
    _check(
        model, step, mix, lambda s: factor * _soft_cross_entropy(*candidates(s), mix, temperature)
    )


@pytest.mark.parametrize("mixer", ["IMix", "ICutMix"])
@pytest.mark.parametrize("name", CANDIDATES)
def test_imix_is_that_with_the_clean_loss_left_out(name: str, mixer: str) -> None:
    model, step, mix = _prepare(name, {"type": f"mixssl.{mixer}"}, {"type": "mixssl.IMixHead"})
    candidates, factor = CANDIDATES[name]
    _check(
        model,
        step,
        mix,
        lambda s: factor * _soft_cross_entropy(*candidates(s), mix, TEMPERATURE),
        clean=False,
    )


@pytest.mark.parametrize("mixer", ["IMix", "ICutMix"])
@pytest.mark.parametrize("name", ["MixBYOL", "MixSimSiam"])
def test_imix_without_negatives_predicts_both_targets(name: str, mixer: str) -> None:
    head = {"type": "mixssl.IMixPredictHead"}
    model, step, mix = _prepare(name, {"type": f"mixssl.{mixer}"}, head)
    _check(model, step, mix, lambda twin: _weighed(name, twin, mix), clean=False)


def test_mochi_adds_negatives_mixed_from_the_hardest() -> None:
    """Query by query: rank the queue, mix pairs and the query in, normalise, contrast with all."""
    settings = {"hardest": 16, "pairs": 8, "with_query": 4, "warmup_epochs": 0, "seed": 3}
    model, x = (
        build(METHODS["MixMoCo"](hard_negatives={"type": "mixssl.MoCHiHead"} | settings)),
        views(),
    )
    twin = copy.deepcopy(model)
    twin.update_momentum()
    head = twin.hard_negatives
    draw = head.draw(len(x[0]), head.random())
    query = _unit(twin.neck(twin.backbone(x[0]))[0])
    with torch.no_grad():
        keys = _unit(twin.encoder_k(x[1])[0])
    queue, losses = twin.queue.t().double(), []
    for i, (q, key) in enumerate(zip(query, keys, strict=True)):
        fixed = q.detach()
        hard = queue[(queue @ fixed).argsort(descending=True)[:16]]
        made = []
        for a, b, alpha in zip(draw.first[i], draw.second[i], draw.alpha[i], strict=True):
            assert a != b and 0 <= alpha < 1
            made.append(alpha * hard[a] + (1 - alpha) * hard[b])
        for a, beta in zip(draw.single[i], draw.beta[i], strict=True):
            assert 0 <= beta < 0.5
            made.append(beta * fixed + (1 - beta) * hard[a])
        everything = torch.cat([key[None], queue, _unit(torch.stack(made))])
        assert len(everything) == 1 + 64 + 12
        logits = everything @ q / TEMPERATURE
        losses.append(logits.logsumexp(0) - logits[0])
    expected = torch.stack(losses).mean()
    loss = model(x, mode="loss")["loss_clean"]
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    loss.backward()
    expected.backward()
    for (name, a), b in zip(model.named_parameters(), twin.parameters(), strict=True):
        if b.grad is not None:
            assert (a.grad - b.grad).abs().max() <= 1e-3 * b.grad.abs().max().clamp_min(1e-2), name
