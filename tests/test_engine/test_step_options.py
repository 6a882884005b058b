"""Options that change how a step is computed: what they do to a config, and what they refuse."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmpretrain.engine import optimizers as upstream
from support.methods_more import run_length
from support.tiny import build, moco, views
from support.tools import call_tool, write_tiny
from torch import Tensor

from mixssl.engine.optimizers import LARS
from mixssl.engine.step_options import apply_model_options, apply_step_options
from mixssl.models.encoder_options import _Checkpointed, _Compiled
from mixssl.utils.errors import ConfigError

SGD = {"type": "SGD", "lr": 0.1, "momentum": 0.9}


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    with run_length():
        yield


def _cfg(optimizer: dict = SGD, **options: Any) -> Config:
    wrapper = {"type": "OptimWrapper", "optimizer": dict(optimizer)}
    return Config({"model": {"backbone": {}}, "optim_wrapper": wrapper, **options})


def test_without_options_the_config_stays() -> None:
    cfg = _cfg()
    apply_step_options(cfg)
    assert cfg.to_dict() == _cfg().to_dict()


@pytest.mark.parametrize("before", [{}, {"type": "AmpOptimWrapper", "loss_scale": "dynamic"}])
def test_amp_names_a_format_and_scales_losses_where_it_must(before: dict) -> None:
    cfg = _cfg(amp="float16")
    cfg.optim_wrapper.update(before)
    apply_step_options(cfg)
    scaled = {"type": "AmpOptimWrapper", "dtype": "float16", "loss_scale": "dynamic"}
    assert cfg.optim_wrapper.to_dict() == {"optimizer": SGD, **scaled}
    cfg.amp = "bfloat16"
    for _ in range(2):  # a config that is resumed has had its options carried out
        apply_step_options(cfg)
        unscaled = {"optimizer": SGD, "type": "mixssl.BFloat16OptimWrapper"}
        assert cfg.optim_wrapper.to_dict() == unscaled


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (_cfg(amp="int8"), "amp is 'int8' and must be one of bfloat16, float16"),
        (_cfg(amp="True"), "amp is 'True' and must be"),
        (_cfg(compile=True), "set compile_encoders=True in its place"),
        (_cfg(compile_encoders=True, checkpoint_backbone=True), "leave one out"),
        (_cfg(channels_last=True, runner_type="Mine"), "leave channels_last out"),
        (_cfg({"type": "Lamb"}, fused_optimizer=True), "optim_wrapper.optimizer.type is 'Lamb'"),
        (
            Config({"model": {"backbone": {"with_cp": True}}, "checkpoint_backbone": True}),
            "leave with_cp out",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(cfg: Config, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        apply_step_options(cfg)
    assert "\n" not in str(caught.value)


def test_other_wrappers_than_one_of_a_single_optimizer_are_left_alone() -> None:
    cfg = _cfg(amp="bfloat16")
    cfg.optim_wrapper.type = "ApexOptimWrapper"
    with pytest.raises(ConfigError, match="the config has 'ApexOptimWrapper'"):
        apply_step_options(cfg)


def test_options_reach_the_model_and_are_logged() -> None:
    model = build(moco())
    assert apply_model_options(model, {}) == []
    lines = apply_model_options(model, {"channels_last": True, "checkpoint_backbone": True})
    assert [line.partition(":")[0] for line in lines] == ["channels_last", "checkpoint_backbone"]
    assert model.backbone.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert isinstance(model.backbone.layer1[0].forward, _Checkpointed)
    compiled = build(moco())
    apply_model_options(compiled, {"compile_encoders": {"backend": "eager"}})
    for part in (compiled.backbone, compiled.neck, *compiled.encoder_k.module):
        assert isinstance(part.forward, _Compiled)


def _losses(optimizer: dict, steps: int = 4) -> list[Tensor]:
    model = build(moco(mixer={"type": "mixssl.UnMix"}))
    cfg = {"type": "OptimWrapper", "optimizer": optimizer}
    wrapper = build_optim_wrapper(model, cfg)
    losses = []
    for step in range(steps):
        torch.manual_seed(step)
        data = {"inputs": views(seed=step), "data_samples": None}
        losses.append(model.train_step(data, wrapper)["loss"].detach())
    return losses


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW"])
def test_a_fused_optimizer_changes_losses_by_rounding(kind: str) -> None:
    optimizer = {"type": kind, "lr": 0.01, "weight_decay": 1e-4}
    cfg = _cfg(optimizer, fused_optimizer=True)
    apply_step_options(cfg)
    assert cfg.optim_wrapper.optimizer.fused
    torch.testing.assert_close(
        _losses(cfg.optim_wrapper.optimizer.to_dict()), _losses(optimizer), rtol=1e-4, atol=0
    )


def test_fused_lars_changes_losses_by_rounding() -> None:
    optimizer = {"type": "LARS", "lr": 0.3, "momentum": 0.9, "weight_decay": 1e-4}
    cfg = _cfg(optimizer, fused_optimizer=True)
    apply_step_options(cfg)
    assert cfg.optim_wrapper.optimizer.type == "mixssl.LARS"
    torch.testing.assert_close(
        _losses(cfg.optim_wrapper.optimizer.to_dict()),
        _losses(optimizer | {"type": "mmpretrain.LARS"}),
        rtol=1e-4,
        atol=0,
    )


@pytest.mark.parametrize("nesterov", [False, True])
def test_lars_steps_as_mmpretrains(nesterov: bool) -> None:
    """Excluded groups, weights of zero, parameters without a gradient or with one later, and resuming."""

    def parameters() -> list[dict[str, Any]]:
        generator = torch.Generator().manual_seed(0)
        make = [torch.randn(n, 3, generator=generator).requires_grad_() for n in (1, 4, 5, 2)]
        make.append(torch.zeros(3, requires_grad=True))
        excluded = {"params": [torch.ones(3, requires_grad=True)], "lars_exclude": True}
        return [{"params": make[:2]}, {"params": make[2:], "lars_exclude": False}, excluded]

    settings = {"lr": 0.5, "momentum": 0.9, "weight_decay": 0.01, "nesterov": nesterov}
    ours, theirs = LARS(parameters(), **settings), upstream.LARS(parameters(), **settings)
    for step in range(6):
        generator = torch.Generator().manual_seed(step)
        for groups in zip(ours.param_groups, theirs.param_groups, strict=True):
            for place, pair in enumerate(zip(*(g["params"] for g in groups), strict=True)):
                gradient = torch.randn(pair[0].shape, generator=generator)
                late = place == 1 and step < 2
                for parameter in pair:
                    parameter.grad = None if late else gradient.clone()
        ours.step()
        theirs.step()
        for groups in zip(ours.param_groups, theirs.param_groups, strict=True):
            for own, other in zip(*(g["params"] for g in groups), strict=True):
                torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-7)
        if step == 3:
            ours.load_state_dict(copy.deepcopy(theirs.state_dict()))


def test_lars_by_hand() -> None:
    """Trust ratio 0.001 * 5 / (10 + 0.1 * 5) of a weight (3, 4) and a gradient (6, 8), learning rate 2."""
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    weight.grad = torch.tensor([6.0, 8.0])
    LARS([weight], lr=2.0, weight_decay=0.1, eta=0.001).step()
    rate = 2 * 0.001 * 5 / (10 + 0.1 * 5 + 1e-8)
    expected = torch.tensor([3 - rate * (6 + 0.3), 4 - rate * (8 + 0.4)])
    torch.testing.assert_close(weight.detach(), expected)


def _trained(folder: Path, *options: str) -> list[float]:
    """Losses of an epoch by tools/train.py."""
    config = write_tiny(folder, epochs=1)
    settings = ["--cfg-options", *options] if options else []
    assert call_tool("train", config, "--work-dir", folder, "--no-validate", *settings) == 0
    saved = torch.load(folder / "epoch_1.pth", weights_only=False)
    return saved["message_hub"]["log_scalars"]["train/loss"].data[0].tolist()


def test_a_run_with_options_is_the_run_without_but_for_rounding(tmp_path: Path) -> None:
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    options = ("channels_last=True", "fused_optimizer=True", "checkpoint_backbone=True")
    found, plain = _trained(tmp_path / "with", *options), _trained(tmp_path / "without")
    assert len(found) == len(plain) == 10
    assert found == pytest.approx(plain, rel=1e-3) and found[0] == pytest.approx(plain[0], rel=1e-5)
    (log,) = (tmp_path / "with").rglob("*.log")
    assert "channels_last: encoders keep channels innermost." in log.read_text()


def test_what_cannot_work_ends_a_run_before_it_begins(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = write_tiny(tmp_path)
    options = ["--cfg-options", "compile=True"]
    assert call_tool("train", config, "--work-dir", tmp_path, *options) == 2
    assert "train.py: compile compiles the whole model" in capfd.readouterr().err
