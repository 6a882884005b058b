"""Losses are logged as mmengine's hook logs them, and read once an interval."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from support.toy_run import toy_runner

from mixssl.engine.hooks import IntervalRuntimeInfoHook
from mixssl.engine.hooks.interval_runtime_info_hook import _read

OURS = {"type": "mixssl.IntervalRuntimeInfoHook"}
THEIRS = {"type": "RuntimeInfoHook"}
LOGGER = {"type": "LoggerHook", "interval": 4}


class _Log(Hook):
    """Writes down what the log says of the last iterations, right after it was written."""

    priority = "VERY_LOW"

    def __init__(self) -> None:
        self.lines: list[dict[str, float]] = []

    def after_train_iter(self, runner: Any, batch_idx: int, *_: Any, **__: Any) -> None:
        if self.every_n_inner_iters(batch_idx, 4):
            hub = runner.message_hub
            self.lines.append(
                {k: hub.get_scalar(k).mean(4) for k in hub.log_scalars if "loss" in k}
            )


def _run(folder: Path, hook: dict, **changes: Any) -> tuple[Any, list[dict[str, float]]]:
    log = _Log()
    hooks = {"runtime_info": hook, "logger": LOGGER}
    runner = toy_runner(folder, [log], default_hooks=hooks, **changes)
    runner.train()
    return runner, log.lines


def _history(runner: Any) -> dict[str, tuple[list, list]]:
    scalars: dict[str, HistoryBuffer] = runner.message_hub.log_scalars
    return {
        key: tuple(part.tolist() for part in buffer.data)
        for key, buffer in scalars.items()
        if "time" not in key
    }


def test_the_log_and_its_history_are_mmengines(tmp_path: Path) -> None:
    (ours, lines), (theirs, expected) = (
        _run(tmp_path / "ours", OURS),
        _run(tmp_path / "theirs", THEIRS),
    )
    assert lines == expected and len(lines) == 3
    assert {"train/loss", "train/loss_clean", "train/loss_mix"} <= set(lines[0])
    assert _history(ours) == _history(theirs)
    saved = [
        torch.load(tmp_path / name / "epoch_2.pth", weights_only=False)["message_hub"]
        for name in ("ours", "theirs")
    ]
    first, second = (
        {
            key: buffer.data[0].tolist()
            for key, buffer in hub["log_scalars"].items()
            if "loss" in key
        }
        for hub in saved
    )
    assert first == second and len(first["train/loss"]) == 12


def test_losses_are_read_once_an_interval_and_at_the_end_of_an_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = {"item": 0, "tolist": 0}
    for name in reads:
        read = getattr(torch.Tensor, name)

        def counted(self: torch.Tensor, *, name: str = name, read: Any = read) -> Any:
            reads[name] += 1
            return read(self)

        monkeypatch.setattr(torch.Tensor, name, counted)
    runner = toy_runner(
        tmp_path, [], default_hooks={"runtime_info": OURS, "logger": LOGGER, "checkpoint": None}
    )
    before = dict(reads)
    runner.train()
    assert reads["tolist"] - before["tolist"] >= 2 * 3  # after iterations 4 and 6 of three epochs
    assert reads["item"] - before["item"] < 18, "that many iterations"


def test_a_checkpoint_in_between_holds_all_losses_before_it(tmp_path: Path) -> None:
    checkpoint = {"type": "CheckpointHook", "interval": 3, "by_epoch": False}
    hooks = {"runtime_info": OURS, "logger": LOGGER, "checkpoint": checkpoint}
    toy_runner(tmp_path, [], default_hooks=hooks).train()
    saved = torch.load(tmp_path / "iter_3.pth", weights_only=False)["message_hub"]
    assert len(saved["log_scalars"]["train/loss"].data[0]) == 3


def test_what_waits_holds_no_graph() -> None:
    hook = IntervalRuntimeInfoHook(interval=50)
    hook._interval = 50
    loss = torch.ones(1000, requires_grad=True).exp().sum()
    runner = SimpleNamespace(train_dataloader=range(1000))
    hook.after_train_iter(runner, 0, outputs={"loss": loss, "top1": 3.5})
    assert [name for name, _ in hook._waiting] == ["loss", "top1"]
    assert not hook._waiting[0][1].requires_grad


def test_numbers_are_read_without_rounding() -> None:
    given = [
        torch.tensor(value, dtype=kind)
        for value, kind in ((0.1, torch.float64), (1 / 3, torch.float32))
    ]
    assert _read(given) == [0.1, given[1].item()]
    halves = [torch.tensor([0.1], dtype=torch.bfloat16), torch.tensor(0.7)]
    assert _read(halves) == [half.item() for half in halves]


def test_an_interval_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="IntervalRuntimeInfoHook: interval is 0"):
        IntervalRuntimeInfoHook(interval=0)
