"""What a config that inherits mmpretrain's alone gets from tools/train.py: SIGTERM, Ctrl-C, NaN and a full disk."""

from __future__ import annotations

import errno
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from support.first_config import write_first_config
from support.tools import ROOT, call_tool

from mixssl.engine import atomic_writes
from mixssl.engine.hooks import GracefulStopHook


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_first_config(tmp_path_factory.mktemp("first"))


def _state(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=False)["state_dict"]


SEEDED = ["--cfg-options", "randomness.seed=1"]


@pytest.fixture
def stopped_by(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[signal.Signals], int]:
    """Trains, gets a signal in the second epoch, and returns the exit code."""

    def train(number: signal.Signals) -> int:
        def call_hook(runner: Runner, place: str, **arguments: object) -> None:
            if place == "before_train_iter" and runner.iter == 5:
                os.kill(os.getpid(), number)
            call(runner, place, **arguments)

        call = Runner.call_hook
        with monkeypatch.context() as patch:
            patch.setattr(Runner, "call_hook", call_hook)
            return call_tool("train", config, "--work-dir", tmp_path, *SEEDED)

    return train


def test_sigterm_leaves_a_checkpoint_that_goes_on(
    config: Path, tmp_path: Path, stopped_by: Callable[[signal.Signals], int]
) -> None:
    assert stopped_by(signal.SIGTERM) == 143
    names = sorted(path.name for path in tmp_path.glob("*.pth"))
    assert names == ["epoch_1.pth", "interrupted.pth"]
    assert call_tool("train", config, "--work-dir", tmp_path, "--resume", *SEEDED) == 0
    assert call_tool("train", config, "--work-dir", tmp_path / "whole", *SEEDED) == 0
    whole, resumed = (_state(folder / "epoch_2.pth") for folder in (tmp_path / "whole", tmp_path))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_ctrl_c_leaves_a_whole_checkpoint(
    tmp_path: Path, stopped_by: Callable[[signal.Signals], int]
) -> None:
    assert stopped_by(signal.SIGINT) == 130
    checkpoint = torch.load(tmp_path / "interrupted.pth", weights_only=False)
    assert checkpoint["meta"]["iter"] == 6


def test_a_loss_that_is_no_number_ends_the_run(
    config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["--cfg-options", "optim_wrapper.optimizer.lr=1e30", "param_scheduler=None"]
    assert call_tool("train", config, "--work-dir", tmp_path, *options) == 3
    assert "train.py: stopped: " in capfd.readouterr().err.splitlines()[-1]
    assert list(tmp_path.glob("*.pth")) == []


def test_a_full_disk_leaves_no_part_of_a_checkpoint(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic_writes.os, "fsync", full)
    assert call_tool("train", config, "--work-dir", tmp_path) == 2
    assert list(tmp_path.glob("*.pth")) == list(tmp_path.glob(".*.part")) == []


def test_a_config_can_say_no(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    register = Runner.register_hook
    monkeypatch.setattr(
        Runner,
        "register_hook",
        lambda runner, hook, *rest: (built.append(str(hook)), register(runner, hook, *rest)),
    )
    options = ["--cfg-options", "default_hooks.graceful_stop=None", "train_cfg.max_epochs=1"]
    assert call_tool("train", config, "--work-dir", tmp_path, *options) == 0
    assert HOOKS.get("mixssl.GracefulStopHook") is GracefulStopHook
    assert any("WholeCheckpointHook" in hook for hook in built)
    assert not any("GracefulStopHook" in hook for hook in built)


BASES = {
    "mmpretrain": ["mmpretrain::mocov2/mocov2_resnet50_8xb32-coslr-200e_in1k.py"],
    "mmpretrain with hooks": ["mmpretrain::byol/byol_resnet50_16xb256-coslr-200e_in1k.py"],
    "mmpretrain and our runtime": [
        "mmpretrain::mocov2/mocov2_resnet50_8xb32-coslr-200e_in1k.py",
        "mixssl::_base_/runtime.py",
        "mixssl::_base_/datasets/imagenet.py",
    ],
    "a recipe": ["mixssl::unmix/moco_r18_cifar10.py"],
}


@pytest.mark.parametrize("bases", BASES.values(), ids=BASES)
@pytest.mark.parametrize("page", ["get_started.md", "user_guides/evaluation.md"])
def test_a_monitor_of_a_page_can_be_added_to_every_kind_of_config(
    page: str, bases: list[str], tmp_path: Path
) -> None:
    text = (ROOT / "docs/en" / page).read_text()
    snippets = [code for code in re.findall(r"```python\n(.*?)```", text, re.S) if "hooks" in code]
    assert snippets
    path = tmp_path / "monitored.py"
    path.write_text(f"_base_ = {bases}\n")
    before = Config.fromfile(path)
    for snippet in snippets:
        path.write_text(snippet)
        added = Config.fromfile(path).default_hooks
        path.write_text(f"_base_ = {bases}\n{snippet}")
        cfg = Config.fromfile(path)
        assert cfg.get("custom_hooks") == before.get("custom_hooks")
        assert cfg.default_hooks.keys() == before.default_hooks.keys() | added.keys()
        for name, hook in added.items():
            merged = cfg.default_hooks[name]
            assert {**merged, **hook} == merged
            assert HOOKS.build(merged)
