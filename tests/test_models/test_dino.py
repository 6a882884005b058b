"""MixDINO: worked numbers, a transcription, its centre, its schedules, and crops of several sizes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from support.methods_more import dino, dino_neck, dino_vit, projector, run_length
from support.tiny import build, sgd, total, views
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from mixssl.mixing import global_mixture
from mixssl.structures import EmbeddingId, Step, Term

TEACHER = torch.tensor([[[0.3, 0.1, 0.0]], [[0.0, 0.2, 0.1]]])
STUDENT = torch.tensor([[[0.2, 0.1, 0.0]], [[0.1, 0.3, 0.0]], [[0.0, 0.0, 0.2]]])


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    with run_length():
        yield


def three_prototypes(**changes: Any) -> Any:
    return build(dino(neck=dino_neck(32) | {"out_dim": 3}, **changes))


def given(model: Any, student: Tensor, teacher: Tensor) -> Tensor:
    """The clean loss of given scores, and the centre moved by them."""
    model.embed = lambda views, *_, **__: {
        EmbeddingId(view.number): teacher[view.number] for view in views
    }
    step = Step([torch.zeros(1)] * len(student), [])
    step.terms = model.clean_terms(len(student))
    step.online = {EmbeddingId(number): rows for number, rows in enumerate(student)}
    step.targets = model.encode_target(step.views[:2], step.online)
    loss = model.sum_losses(step.terms, step)["loss_clean"]
    model.stage(step.targets)
    model.enqueue_staged()
    return loss


def test_worked_numbers() -> None:
    model = three_prototypes()
    model.center.copy_(torch.tensor([[0.1, 0.0, -0.1]]))
    assert given(model, STUDENT, TEACHER).item() == pytest.approx(1.836219, abs=1e-5)
    assert_close(model.center, torch.tensor([[0.105, 0.015, -0.085]]))
    model = three_prototypes()
    assert given(model, STUDENT[:2], TEACHER).item() == pytest.approx(1.816911, abs=1e-5)
    assert_close(model.center, torch.tensor([[0.015, 0.015, 0.005]]))


def test_a_mixtures_two_terms_are_one_blended_target() -> None:
    """The worked batch of two images: own 0.411891, partner 1.816911, weighted 0.763146."""
    model, lam, partner = three_prototypes(), torch.full((2,), 0.75), torch.tensor([1, 0])
    prediction = STUDENT[:2, 0]
    target = (TEACHER[:, 0] / 0.04).softmax(dim=1)
    terms = [Term(EmbeddingId(2), EmbeddingId(1))] * 2
    own, other = model.pair_losses(prediction, [target, target[partner]], terms)
    assert own.mean().item() == pytest.approx(0.411891, abs=1e-5)
    assert other.mean().item() == pytest.approx(1.816911, abs=1e-5)
    weighted = (lam * own + (1 - lam) * other).mean()
    assert weighted.item() == pytest.approx(0.763146, abs=1e-5)
    blended = lam[:, None] * target + (1 - lam[:, None]) * target[partner]
    assert_close(weighted, model.pair_losses(prediction, [blended], terms[:1])[0].mean())


def score(model: Any, images: Tensor) -> Tensor:
    """What the networks make of images, in double precision from the embedding on."""
    (features,) = model.backbone(images)
    features = features.mean(dim=(2, 3)) if features.ndim == 4 else features
    embedding = F.normalize(model.neck.mlp(features).double(), dim=1)
    return embedding @ F.normalize(model.neck.prototypes.double(), dim=1).t()


@pytest.mark.parametrize("config", [dino, dino_vit])
def test_a_step_with_crops_and_unmix_against_a_transcription(config: Any) -> None:
    model = build(config(mixer={"type": "mixssl.UnMix"}))
    model.center.normal_(std=0.1)
    x = [*views(count=2), *views(size=16 if config is dino_vit else 8, seed=5, count=2)]
    mixture = global_mixture(x[0], 0, torch.tensor([0.3]))
    twin = copy.deepcopy(model)
    losses = model(x, mode="loss", mixtures=[mixture])
    twin.update_momentum()
    teacher = twin.teacher.module
    with torch.no_grad():
        assigned = [
            ((teacher[1](teacher[0](view))[0].double() - twin.center) / 0.04).softmax(dim=1)
            for view in x[:2]
        ]
    groups = [x] if config is dino_vit else [x[:2], x[2:]]
    scores = torch.cat([score(twin, torch.cat(group)) for group in groups])
    students = (scores / 0.1).log_softmax(dim=1).split(len(x[0]))
    pairs = [-(assigned[a] * students[b]).sum(1).mean() for a in (0, 1) for b in range(4) if a != b]
    assert_close(losses["loss_clean"].double(), sum(pairs) / 6, atol=1e-5, rtol=1e-5)
    prediction = (score(twin, mixture.images) / 0.1).log_softmax(dim=1)
    blended = 0.3 * assigned[1] + 0.7 * assigned[1].flip(0)
    expected = -(blended * prediction).sum(1).mean()
    assert_close(losses["loss_mix"].double(), expected, atol=1e-5, rtol=1e-5)


def test_the_centre_moves_once_for_all_micro_batches() -> None:
    model = build(dino())
    wrapper = OptimWrapper(sgd(model), accumulative_counts=2)
    found = []
    for seed in range(2):
        x = views(seed=seed)
        with torch.no_grad():
            twin = copy.deepcopy(model)
            twin.update_momentum()
            teacher = twin.teacher.module
            found += [teacher[1](teacher[0](view))[0].mean(dim=0) for view in x]
        assert not model.center.any()
        wrapper.initialize_count_status(model, seed, 2)
        model.train_step({"inputs": x, "data_samples": None}, wrapper)
    assert_close(model.center[0], 0.1 * torch.stack(found).mean(dim=0))
    assert not model._staged


def at_epoch(done: float) -> None:
    info = MessageHub.get_current_instance()._runtime_info
    info.update(iter=int(done * 25), max_iters=100, max_epochs=4)


@pytest.fixture
def _clock() -> Iterator[None]:
    info = MessageHub.get_current_instance()._runtime_info
    before = dict(info)
    yield
    info.clear()
    info.update(before)


@pytest.mark.usefixtures("_clock")
def test_the_teachers_temperature_rises_by_epochs() -> None:
    model = build(dino(teacher_temperature=0.07, warmup_teacher_epochs=2))
    found = []
    for epoch in range(4):
        at_epoch(epoch)
        found.append(model.teacher_temperature)
    assert found == pytest.approx([0.04, 0.07, 0.07, 0.07])
    assert build(dino(teacher_temperature=0.05)).temperatures == [0.05]


@pytest.mark.usefixtures("_clock")
def test_prototypes_are_held_in_the_first_epoch() -> None:
    model = build(dino())
    for done, held in ((0, True), (0.9, True), (1, False)):
        at_epoch(done)
        model.zero_grad(set_to_none=True)
        total(model(views(), mode="loss")).backward()
        assert bool(model.neck.prototypes.grad.any()) is not held
        assert model.neck.mlp[0].weight.grad.abs().max() > 0


def test_drop_path_is_the_students_alone() -> None:
    cfg = dino_vit()
    cfg["backbone"] |= {"drop_path_rate": 0.5}
    model = build(cfg)
    drops = {
        name: module.drop_prob
        for name, module in model.named_modules()
        if type(module).__name__ == "DropPath"
    }
    assert any(drop > 0 for name, drop in drops.items() if not name.startswith("teacher"))
    assert all(drop == 0 for name, drop in drops.items() if name.startswith("teacher"))


def test_learned_lengths_of_prototypes() -> None:
    model = build(
        dino(neck=dino_neck(32) | {"norm_last_layer": False, "norm_cfg": {"type": "BN1d"}})
    )
    total(model(views(), mode="loss")).backward()
    assert model.neck.lengths.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"student_temperature": 0.0}, "student_temperature of MixDINO is 0.0 and must be > 0"),
        ({"center_momentum": 1.0}, r"must lie in \[0, 1\)"),
        ({"neck": projector(32)}, "mixssl.DINONeck"),
    ],
)
def test_what_does_not_fit(changes: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        build(dino(**changes))


def test_global_crops_come_first() -> None:
    x = [*views(count=1), *views(size=8, count=1)]
    with pytest.raises(ValueError, match="views 0 and 1 of MixDINO"):
        build(dino())(x, mode="loss")
