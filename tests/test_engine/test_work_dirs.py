"""One run in a folder at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.toy_run import toy_runner

from mixssl.engine import work_dirs
from mixssl.engine.hooks import WholeCheckpointHook
from mixssl.engine.work_dirs import hold, let_go
from mixssl.utils.errors import ConfigError


def _another_process(do: Callable[[], None]) -> int:
    """Starts a process that holds nothing yet, does something, and stays."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        work_dirs._held.clear()
        try:
            do()
            os.write(writing, b"done")
        finally:
            os.write(writing, b".")
        time.sleep(60)
        os._exit(0)
    assert os.read(reading, 9).startswith(b"done")
    return process


def _end(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def test_a_folder_in_use_is_refused_until_its_run_has_ended_or_was_killed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    other = _another_process(lambda: hold(folder))
    try:
        with pytest.raises(ConfigError, match=f"run is in use by process {other} on .*--work-dir"):
            hold(folder)
        runner = toy_runner(folder, [WholeCheckpointHook()])
        with pytest.raises(ConfigError, match="is in use by process"):
            runner.train()
        assert not list(folder.glob("*.pth"))
    finally:
        _end(other)
    (folder / ".epoch_1.pth.17.part").touch()
    hold(folder)
    hold(folder)
    assert not list(folder.glob(".*.part"))
    assert (folder / ".lock").read_text().startswith(f"process {os.getpid()} on ")
    let_go(folder)
    let_go(folder)
    _end(_another_process(lambda: hold(folder)))


def test_a_run_that_has_ended_gives_its_folder_back(tmp_path: Path) -> None:
    toy_runner(tmp_path, [WholeCheckpointHook()]).train()
    _end(_another_process(lambda: hold(tmp_path)))


def test_a_file_system_without_locks_is_used_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", no_locks)
    (tmp_path / ".epoch_1.pth.17.part").touch()
    hold(tmp_path)
    assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")
    assert not list(tmp_path.glob(".*.part"))
    let_go(tmp_path)
