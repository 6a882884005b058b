import io
import logging

import pytest
from mmengine.registry import HOOKS as ROOT_HOOKS
from rich.console import Console
from support.toy_run import toy_runner

from mixssl.engine.hooks import ProgressHook
from mixssl.engine.hooks.progress_hook import _clock


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
