import io
import logging
import re

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS as ROOT_HOOKS
from rich.console import Console
from support.toy_run import toy_runner

from mixssl.engine.hooks import ProgressHook
from mixssl.engine.hooks.progress_hook import _clock, outcome


class Terminal(io.StringIO):
    def isatty(self):
        return True


def _console(width=160):
    return Console(file=Terminal(), force_terminal=True, width=width, legacy_windows=False)


def test_shows_epoch_speed_loss_and_time_left(tmp_path):
    console = _console()
    toy_runner(tmp_path, [ProgressHook(refresh=1e-9, console=console)]).train()
    shown = console.file.getvalue()
    for text in ("epoch 1/3", "epoch 3/3", "1/18", "18/18", "images/s", "loss ", "0:00:00 left"):
        assert text in shown, text


def test_nothing_without_a_terminal(tmp_path):
    console = Console(file=io.StringIO())
    toy_runner(tmp_path, [ProgressHook(refresh=1e-9, console=console)]).train()
    assert console.file.getvalue() == ""


def test_redraws_no_more_often_than_asked(tmp_path, monkeypatch):
    hook = ProgressHook(refresh=3600, console=_console())
    drawn = []
    monkeypatch.setattr(hook, "_update", lambda runner, done: drawn.append(done))
    toy_runner(tmp_path, [hook]).train()
    assert drawn == [18]  # the last look, after training


def test_log_lines_go_above_the_bar_and_streams_come_back(tmp_path):
    console, stream = _console(), Terminal()
    runner = toy_runner(tmp_path, [ProgressHook(refresh=3600, console=console)])
    hook = next(hook for hook in runner.hooks if isinstance(hook, ProgressHook))
    assert runner.train_loop.max_iters == 18  # built on access; says so in the log
    handler = logging.StreamHandler(stream)
    runner.logger.addHandler(handler)
    hook.before_train(runner)
    runner.logger.warning("a line")
    assert "a line" in console.file.getvalue() and stream.getvalue() == ""
    hook._close()
    hook._close()
    assert handler.stream is stream
    runner.logger.removeHandler(handler)


def test_clock():
    assert [_clock(seconds) for seconds in (0, 61, 3600 * 30 + 5, -1)] == [
        "0:00:00",
        "0:01:01",
        "30:00:05",
        "0:00:00",
    ]


@pytest.mark.parametrize("refresh", [0, -1.0, float("nan")])
def test_refresh_must_be_positive(refresh):
    with pytest.raises(ValueError, match="must be above 0 seconds"):
        ROOT_HOOKS.build({"type": "mixssl.ProgressHook", "refresh": refresh})


class Measured(Hook):
    """Stands in for a monitor: its accuracy falls and rises."""

    def after_train_epoch(self, runner):
        runner.message_hub.update_scalar("val/knn_top1", [50.0, 70.0, 60.0][runner.epoch])
        runner.message_hub.update_scalar("val/knn_seconds", 1.0)


def test_the_log_has_the_speed_and_the_outcome(tmp_path):
    (tmp_path / "mine.py").write_text("knn_bank = dict()\n")
    config = Config.fromfile(tmp_path / "mine.py")
    runner = toy_runner(
        tmp_path / "run", [ProgressHook(), Measured()], log_level="INFO", cfg=config
    )
    runner.train()
    (log,) = tmp_path.glob("run/*/*.log")
    said = log.read_text()
    assert (
        len(re.findall(r"images_per_s: \d+\.\d+", said)) == 6
    )  # every third of six steps, three times
    assert re.search(r"Trained 18 steps in 0:00:\d\d, \d+ images/s, measurements and", said)
    assert "knn_top1: best 70.00, last 60.00." in said and "knn_seconds: best" not in said
    folder = tmp_path / "run"
    command = f"mixssl evaluate linear {folder / 'mine.py'} {folder / 'epoch_3.pth'}"
    assert f"Next: {command}\n" in said


def test_a_run_with_a_test_loop_is_tested_next_and_one_without_images_is_given_some(tmp_path):
    (tmp_path / "mine.py").touch()
    runner = toy_runner(tmp_path, [])
    runner.train()
    for text, start, end in (
        ("test_dataloader = dict()\n", "Next: mixssl test ", ".pth"),
        ("\n", "Next: mixssl evaluate linear ", "--data CONFIG_WITH_LABELLED_IMAGES"),
    ):
        (tmp_path / "mine.py").write_text(text)
        runner.cfg = Config.fromfile(tmp_path / "mine.py")
        (line,) = [line for line in outcome(runner, 1.0, 18) if line.startswith("Next: ")]
        assert line.startswith(start) and line.endswith(end)
