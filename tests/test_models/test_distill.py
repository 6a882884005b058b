"""Distillation: the published arithmetic, the queue, and a teacher that stays outside of everything."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper
from support.methods_more import distill, teacher, teacher_file
from support.tiny import backbone, build, preprocessor, sgd, total, views
from torch import Tensor
from torch.nn import functional as F

from mixssl.models.losses import divergence, token_divergence
from mixssl.models.memory import queue_length
from mixssl.transfer import extract
from mixssl.utils.checkpoints import read_checkpoint
from mixssl.utils.errors import ConfigError

MIXUP = {"type": "mixssl.MixUp"}
HEAD = {"type": "mixssl.DistillHead"}
TAU = 0.07
VIT = {
    "type": "mmpretrain.VisionTransformer",
    "arch": {"embed_dims": 8, "num_layers": 1, "num_heads": 2, "feedforward_channels": 16},
    "img_size": 16,
    "patch_size": 4,
    "out_type": "raw",
}


def _model(mixer: dict | None = MIXUP, head: dict | None = HEAD, **changes: Any) -> Any:
    cfg = distill(mix_head=head, **changes)
    return build(cfg | {"data_preprocessor": preprocessor(mixer)})


def _data(model: Any, seed: int = 0, batch: int = 8) -> dict:
    one = {"inputs": views(batch, seed=seed, count=1), "data_samples": None}
    return model.data_preprocessor(one, True)


# -- the arithmetic


@pytest.mark.parametrize(
    ("temperature", "empty", "expected"),
    [(0.07, False, 1.212159), (0.5, False, 0.221639), (0.5, True, 0.101099)],
)
def test_the_divergence_of_whole_images(temperature: float, empty: bool, expected: float) -> None:
    target = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    online = torch.tensor([[0.8, 0.6], [0.0, 1.0]])
    queue = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, -1.0], [-0.8, 0.6]])
    queue[2:] *= not empty
    logits = [features @ queue.t() / temperature for features in (target, online)]
    assert divergence(*logits).mean().item() == pytest.approx(expected, abs=1e-6)
    assert divergence(logits[0], logits[0]).abs().max() == 0


def test_the_divergence_of_places() -> None:
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    online = torch.tensor([[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0]])
    maps = [3.0 * tokens.t()[None, :, None] for tokens in (target, online)]  # any length
    assert token_divergence(*maps, 0.5).item() == pytest.approx(0.785184, abs=1e-6)


def test_an_online_map_takes_the_size_of_the_targets() -> None:
    target, online = torch.randn(2, 5, 6, 4), torch.randn(2, 3, 3, 2)
    resized = F.interpolate(online, size=(6, 4), mode="bilinear", align_corners=False)
    found = token_divergence(target, online, TAU)
    assert torch.equal(found, token_divergence(target, resized, TAU)) and found.shape == (2,)


@pytest.mark.parametrize(
    ("images", "length"), [(49, 16), (50, 32), (9_999, 2048), (20_000, 8192), (10**6, 8192)]
)
def test_how_long_a_queue_is(images: int, length: int) -> None:
    assert queue_length(images) == length


# -- a step


def _softmax_divergence(target: Tensor, online: Tensor) -> Tensor:
    """Row by row, in double precision."""
    rows = []
    for t, s in zip(target.double(), online.double(), strict=True):
        p, q = (t / TAU).softmax(0), (s / TAU).softmax(0)
        rows.append((p * (p / q).log()).sum())
    return torch.stack(rows)


def _unit(rows: Tensor) -> Tensor:
    return rows.double() / rows.double().square().sum(1, keepdim=True).sqrt()


def test_three_steps_are_those_of_a_naive_student() -> None:
    """The queue fills, is full, and loses its oldest; every loss against a transcription, and its gradient."""
    model = _model(queue_len=16, dense_weight=0.5)
    optimizer, older = sgd(model, lr=0.01), []
    for seed in range(4):
        data = _data(model, seed)
        mixed, twin = data["mixtures"][0].images, copy.deepcopy(model)
        with torch.no_grad():
            maps = model.teacher.module[0](mixed)[0]
        taught = _unit(maps.mean((2, 3)))
        bank = torch.cat([taught, *older[-1:]])  # two batches of eight
        features = twin.backbone(mixed)[0]
        student = _unit(twin.neck.linear(features.mean((2, 3))))
        whole = _softmax_divergence(taught @ bank.t(), student @ bank.t()).mean()
        layer = twin.dense_neck.linear
        grid = F.conv2d(features, layer.weight[:, :, None, None], layer.bias)
        grid = F.interpolate(grid, size=(8, 8), mode="bilinear")
        dense = []
        for one, other in zip(maps, grid, strict=True):
            tokens = [_unit(m.flatten(1).t()) for m in (one, other)]
            dense.append(_softmax_divergence(*(t @ t.t() for t in tokens)).mean())
        found = model(**data, mode="loss")
        assert found.keys() == {"loss_mix", "loss_dense"}
        assert found["loss_mix"].item() == pytest.approx(whole.item(), abs=1e-5)
        assert found["loss_dense"].item() == pytest.approx(
            0.5 * torch.stack(dense).mean().item(), abs=1e-5
        )
        optimizer.zero_grad()
        total(found).backward()
        (whole + 0.5 * torch.stack(dense).mean()).backward()
        for (name, a), b in zip(model.named_parameters(), twin.parameters(), strict=True):
            scale = b.grad.abs().max().clamp_min(1e-2)
            assert (a.grad - b.grad).abs().max() <= 1e-3 * scale, name
        optimizer.step()
        older.append(taught)
        assert model.queue_filled.item() == min(8 * len(older), 16)


def test_a_step_costs_three_passes_of_the_student_and_one_of_the_teacher() -> None:
    model, passes = _model(dense_weight=1.0), []
    for name, net in (("student", model.backbone), ("teacher", model.teacher.module[0])):
        net.register_forward_hook(lambda *_, n=name: passes.append((n, torch.is_grad_enabled())))
    total(model(**_data(model), mode="loss")).backward()
    assert passes == [("teacher", False), ("student", True)]


def test_what_is_staged_is_written_after_the_optimizer() -> None:
    model = _model()
    wrapper = OptimWrapper(sgd(model), accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    for step in range(4):
        before = model.queue_filled.item()
        one = {"inputs": views(seed=step, count=1), "data_samples": None}
        model.train_step(one, wrapper)
        assert model.queue_filled.item() - before == (16 if step % 2 else 0)


def test_mixed_labels_weigh_both_images() -> None:
    """UnMixHead on one view: the mixture against what the teacher makes of each image by itself."""
    head = {"type": "mixssl.UnMixHead", "pairing": "own", "keep_clean": False}
    model = _model(head=head)
    data = _data(model)
    (mixture,) = data["mixtures"]
    with torch.no_grad():
        taught = _unit(model.teacher.module(data["inputs"][0])[0])
        student = _unit(copy.deepcopy(model).neck(model.backbone(mixture.images))[0])
    lam, logits = mixture.lam[0].item(), student @ taught.t()
    parts = [
        _softmax_divergence((taught @ taught.t())[rows], logits).mean()
        for rows in (mixture.index, mixture.partner)
    ]
    found = model(**data, mode="loss")
    assert found.keys() == {"loss_mix"}
    wanted = lam * parts[0] + (1 - lam) * parts[1]
    assert found["loss_mix"].item() == pytest.approx(wanted.item(), abs=1e-4)


def test_a_blended_target_is_the_mean_of_both_features() -> None:
    model = _model(head={"type": "mixssl.BlendHead", "pairing": "own", "keep_clean": False})
    data = _data(model)
    (mixture,) = data["mixtures"]
    with torch.no_grad():
        taught = _unit(model.teacher.module(data["inputs"][0])[0])
        student = _unit(copy.deepcopy(model).neck(model.backbone(mixture.images))[0])
    lam = mixture.lam[0].item()
    target = _unit(lam * taught[mixture.index] + (1 - lam) * taught[mixture.partner])
    wanted = _softmax_divergence(target @ taught.t(), student @ taught.t()).mean()
    found = model(**data, mode="loss")
    assert found["loss_mix"].item() == pytest.approx(wanted.item(), abs=1e-4)


def test_transformers_teach_and_learn() -> None:
    model = _model(
        backbone=VIT | {"patch_size": 8},
        neck={"type": "mixssl.DistillNeck", "in_channels": 8, "out_channels": 8},
        teacher={"backbone": VIT, "checkpoint": None},
        dense_weight=1.0,
    )
    data = _data(model)
    found = model(**data, mode="loss")
    with torch.no_grad():
        (tokens,) = model.teacher.module[0](data["mixtures"][0].images)
        assert torch.equal(model.teacher.module(data["mixtures"][0].images)[0], tokens[:, 0])
    assert tokens.shape == (8, 17, 8) and all(value > 0 for value in found.values())


# -- the teacher


def test_the_teacher_stays_as_it_is_and_outside() -> None:
    model = _model()
    net = model.teacher.module
    before = copy.deepcopy(net.state_dict())
    optimizer = sgd(model)
    for seed in range(2):
        total(model.train()(**_data(model, seed), mode="loss")).backward()
        optimizer.step()
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in before.items())
    assert not any(module.training for module in net.modules())
    names = {*model.state_dict(), *dict(model.named_parameters()), *dict(model.named_modules())}
    assert {name for name in names if "teacher" in name} == {
        "frozen_teacher",
        "frozen_teacher.digest",
    }
    copied = copy.deepcopy(model).double()
    assert copied.teacher.module[0].conv1.weight.dtype == torch.float64
    assert net[0].conv1.weight.dtype == torch.float32


def test_a_checkpoint_names_its_teacher() -> None:
    state = build(distill()).state_dict()
    build(distill(), seed=1).load_state_dict(state)
    another = distill(teacher=teacher(checkpoint=None))
    with pytest.raises(ConfigError, match="learned from another teacher, [0-9a-f]{8}, and"):
        build(another).load_state_dict(state)
    late = build(another)
    late.frozen_teacher._ready = False  # as where weights are loaded before the teacher's
    late.load_state_dict(state)
    with pytest.raises(ConfigError, match="learned from another teacher"):
        late.frozen_teacher.init_weights()


def test_the_teacher_has_its_own_normalisation() -> None:
    cfg = distill(
        teacher=teacher(checkpoint=teacher_file(), mean=[9.0, 8.0, 7.0], std=[2.0, 3.0, 4.0])
    )
    own = {"mean": [1.0, 2.0, 3.0], "std": [5.0, 6.0, 7.0]}
    model = build(cfg | {"data_preprocessor": preprocessor() | own})
    plain = build(distill()).teacher.module
    raw = torch.rand(4, 3, 16, 16) * 255

    def normalised(mean: list[float], std: list[float]) -> Tensor:
        return (raw - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]

    found = model.teacher.module(normalised(**own))[0]
    wanted = plain(normalised([9.0, 8.0, 7.0], [2.0, 3.0, 4.0]))[0]
    assert torch.allclose(found, wanted, rtol=1e-4)
    moved = copy.deepcopy(model).double().teacher
    assert torch.allclose(moved.module(normalised(**own).double())[0].float(), wanted, rtol=1e-4)


def test_bfloat16_rounds_the_features_alone() -> None:
    rounded = _model(teacher=teacher(checkpoint=teacher_file(), bfloat16=True))
    exact = _model()
    one, other = (model(**_data(model), mode="loss")["loss_mix"] for model in (rounded, exact))
    assert one.dtype == torch.float32 and one != other and abs(one - other) < 0.05 * other + 1e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": "nowhere.pth"}, "no checkpoint 'nowhere.pth': name an existing file"),
        ({"backbone": backbone()}, "does not hold teacher.backbone .ResNet_CIFAR.: .*missing"),
        ({"backbone": {"pretrained": True}}, "pretrained is True and would download"),
        ({"mean": [1.0, 2.0, 3.0]}, "teacher.std is None: give a number per channel in both"),
        ({"mean": [1.0, 2.0], "std": [1.0]}, "give a number per channel in both"),
    ],
)
def test_a_teacher_that_cannot_be_had_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(distill(teacher=teacher(checkpoint=teacher_file()) | changes))


@pytest.mark.slow
def test_a_model_of_timm_teaches(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    name = "test_vit"
    torch.save(timm.create_model(name, num_classes=0).state_dict(), tmp_path / "vit.pth")
    net = {"type": "mmpretrain.TIMMBackbone", "model_name": name}
    width = timm.create_model(name).num_features
    model = _model(
        neck={"type": "mixssl.DistillNeck", "in_channels": 32, "out_channels": width},
        teacher={"backbone": net, "checkpoint": str(tmp_path / "vit.pth")},
        dense_weight=1.0,
    )
    one = {"inputs": views(4, size=160, count=1), "data_samples": None}
    found = model.eval()(**model.data_preprocessor(one, True), mode="loss")
    assert all(value.isfinite() and value > 0 for value in found.values())


# -- what is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, "temperature=0.0, .*the others > 0"),
        ({"dense_weight": -1.0}, "dense_weight must be >= 0"),
        (
            {"dense_weight": 1.0, "head": {"type": "mixssl.UnMixHead", "keep_clean": False}},
            "UnMixHead leaves nothing that student and teacher both see: choose mixssl.DistillHead",
        ),
        (
            {
                "dense_weight": 1.0,
                "neck": {"type": "mmpretrain.LinearNeck", "in_channels": 32, "out_channels": 8},
            },
            "LinearNeck has no features of places: choose mixssl.DistillNeck",
        ),
        (
            {"mixer": {"type": "mixssl.ManifoldMix"}},
            "can be no target of MixDistill: choose .*or a mixer of pixels",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _model(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queue_len": 12}, "queue_len is 12 and must be a multiple of the total batch 8"),
        ({"head": {"type": "mixssl.UnMixHead"}}, "the pipeline gives 1: choose mixssl.Distill"),
        (
            {"neck": {"type": "mixssl.DistillNeck", "in_channels": 32, "out_channels": 4}},
            "features have 8 numbers and out_channels of the neck is 4: set model.neck.out_ch",
        ),
        (
            {
                "dense_weight": 1.0,
                "teacher": {"backbone": VIT | {"out_type": "cls_token"}, "checkpoint": None},
            },
            "the dense loss needs maps or tokens, and a backbone gives .8, 8. for images of",
        ),
    ],
)
def test_a_step_that_cannot_be_taken_is_refused(changes: dict, message: str) -> None:
    model = _model(**changes)
    with pytest.raises(ValueError, match=message):
        model(**_data(model), mode="loss")


# -- afterwards


def test_the_students_backbone_is_taken_out_of_a_checkpoint(tmp_path: Path) -> None:
    """By the way of any other method's: nothing of the teacher is in the file, let alone in the backbone."""
    model = _model(dense_weight=1.0)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "student.pth")
    found = extract(read_checkpoint(tmp_path / "student.pth"), model.backbone.state_dict())
    assert len(found.state) == len(model.backbone.state_dict()) and not found.missing
    assert "frozen_teacher 1" in found.report()
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(found.state[name], value), name
