"""Mistakes that people make, and the one line that each gets: what it is, what is allowed, and the way out."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from support.tools import call_tool, write_tiny

WITH_OPTIONS = {
    "a mixer inside the model": (
        ["model.data_preprocessor.mixer.type=mixssl.UnMix"],
        r"model.data_preprocessor is set, and .*mean, .*std.* would not be read: .*data_preprocessor.mixer=",
    ),
    "no mixer inside the model": (
        ["model.data_preprocessor.mixer=None"],
        r"model.data_preprocessor is set, and .*mean, .*std.* would not be read: ",
    ),
    "a batch of one image": (
        ["train_dataloader.batch_size=1"],
        r"batch_size is 1, and a mixture needs .* raise it, or set data_preprocessor.mixer=None",
    ),
    "data smaller than a batch": (
        ["train_dataloader.dataset.indices=10", "model.queue_len=32"],
        r"dataset has 10 images and a batch takes 16, .* no step: set train_dataloader.batch_size to at most 10",
    ),
    "a top-level key misspelled": (
        ["device_augmen=True"],
        r"device_augmen=True would change nothing: .* did you mean 'device_augment'",
    ),
    "a top-level key that nothing reads": (
        ["whatever.it=1"],
        r"whatever.it=1 would change nothing: the config has no whatever, and nothing reads it$",
    ),
    "a key without a value": (["amp"], r"--cfg-options got 'amp', which is no KEY=VALUE"),
    "a value with half a bracket": (["train_cfg.val_interval=[1,(2"], r"don't pair up"),
    "an item that a list has not": (
        ["custom_hooks.99.interval=1"],
        r"custom_hooks.99.interval does not fit the config: Index 99 exceeds the length",
    ),
    "the papers' momentum": (
        ["model.momentum=0.99"],
        r"momentum is 0.99, .* weighs the new value, .* did you mean 0.01",
    ),
    "no epoch": (["train_cfg.max_epochs=0"], r"train_cfg.max_epochs is 0, .* at least 1"),
}
"""What is given as --cfg-options, and the line that it gets."""


@pytest.fixture(autouse=True)
def _loggers_of_earlier_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """They write to what was captured for another test, and is closed."""
    monkeypatch.setattr(logging, "raiseExceptions", False)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("config"), epochs=1)


def said(capfd: pytest.CaptureFixture[str], name: str = "train.py") -> str:
    """The one line of a tool that has refused, without a traceback before it."""
    text = capfd.readouterr().err
    assert "Traceback" not in text
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name}: ")]
    return line


@pytest.mark.parametrize(("options", "line"), WITH_OPTIONS.values(), ids=WITH_OPTIONS)
def test_an_option_that_can_not_work_gets_one_line(
    tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], options: list[str], line: str
) -> None:
    assert call_tool("train", tiny, "--work-dir", tmp_path, "--cfg-options", *options) == 2
    assert re.search(line, said(capfd))
    assert not list(tmp_path.glob("*.pth"))


def test_a_misspelled_key_of_a_config_file_is_named(
    tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "misspelled.py"
    path.write_text(f"_base_ = [{str(tiny)!r}]\nfused_optimiser = True\nmine = 1\n")
    assert call_tool("train", path, "--work-dir", tmp_path / "run") == 2
    line = said(capfd)
    assert "sets fused_optimiser, which nothing reads, did you mean 'fused_optimizer'?" in line


def _log(work_dir: Path) -> str:
    """What the last run has written into its log."""
    return max(work_dir.glob("*/*.log"), key=lambda path: path.stat().st_mtime).read_text()


@pytest.fixture(scope="module")
def finished(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Work directory of a run of one epoch."""
    work_dir = tmp_path_factory.mktemp("finished")
    options = ["--cfg-options", "model.queue_len=96"]
    assert call_tool("train", tiny, "--work-dir", work_dir, *options) == 0
    return work_dir


def test_the_log_says_what_is_trained_and_of_a_queue_that_is_too_long(finished: Path) -> None:
    log = _log(finished)
    said = r"Training MixMoCo with UnMix \(0.\d M parameters\) on 160 images of Digits: "
    assert re.search(said + "10 steps of 16 images an epoch, 1 epochs, 10 steps in all", log)
    assert "queue_len is 96, more than half of the 160 images" in log
    assert "Take at most 80" in log


def test_a_finished_run_that_is_resumed_says_so(tiny: Path, finished: Path) -> None:
    options = ["--cfg-options", "model.queue_len=96"]
    assert call_tool("train", tiny, "--work-dir", finished, "--resume", *options) == 0
    log = _log(finished)
    assert "Nothing is left to train: " in log and "raise train_cfg.max_epochs above 1." in log


def test_weights_of_another_architecture_are_no_start(
    tiny: Path, finished: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["model.backbone.depth=34", f"load_from={finished / 'epoch_1.pth'}"]
    assert call_tool("train", tiny, "--work-dir", tmp_path, "--cfg-options", *options) == 2
    line = said(capfd)
    assert "load_from is " in line and "not those of the model's backbone: " in line
    assert "missing (backbone.layer1.2.bn1.bias" in line
