"""Tools run in processes of their own, with a log."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mixssl.utils.errors import ConfigError

__all__ = ["LOG", "call", "last_line"]

LOG = "log.txt"


def call(command: Sequence[str], log: Path) -> int:
    """Runs a Python file in a process of its own, its output appended to a file.

    Returns:
        Exit code.

    Raises:
        ConfigError: Another process is at work in the file's folder, be it one that an ended comparison has left.
        KeyboardInterrupt: This process was asked to stop; the other has been, too, and has ended.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held by the other process, too
        except BlockingIOError:
            raise ConfigError(
                f"another process is at work in {log.parent}: let it end, or end it"
            ) from None
        file.write(f"\n$ python {shlex.join(command)}\n".encode())
        file.flush()
        process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            code = process.wait()
        except BaseException:
            # From a terminal it has had the signal already; a second one at once counts as the same.
            process.send_signal(signal.SIGTERM)
            process.wait()
            raise
    if code in (128 + signal.SIGINT, -signal.SIGINT):
        raise KeyboardInterrupt
    return code


def last_line(folder: Path) -> str:
    """What the process in a folder said last, and where the rest is."""
    path = folder / LOG
    lines = path.read_text(errors="replace").split("\n") if path.is_file() else []
    said = [line.strip() for line in lines if line.strip()]
    return f"{said[-1] if said else 'it said nothing'} (all of it: {path})"
