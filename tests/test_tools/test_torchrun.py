"""The launcher's last word: exit codes of the processes it starts, and one line where they can't speak themselves."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.tools import call_tool

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in HANDLED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def port() -> Iterator[int]:
    """One in use."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def _launch(tmp_path: Path, code: str, port: int, processes: int = 1) -> int:
    script = tmp_path / "tool.py"
    script.write_text(f"import os, signal, sys\n{code}\n")
    options = ["--master_addr=127.0.0.1", f"--master_port={port}", f"--nproc_per_node={processes}"]
    return call_tool("torchrun", *options, script)


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("code", "left", "said"),
    [
        ("pass", 0, r"^$"),
        ("sys.stderr.write('tool.py: no\\n'); sys.exit(2)", 2, r"^tool.py: no\n$"),
        ("1 / 0", 1, r"ZeroDivisionError: division by zero\n$"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            137,
            r"torchrun.py: process 0 was killed by SIGKILL: the machine may have run out of memory",
        ),
    ],
)
def test_the_first_to_fail_says_why(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], code: str, left: int, said: str
) -> None:
    assert _launch(tmp_path, code, _free()) == left
    assert re.search(said, capfd.readouterr().err)


def test_a_port_in_use_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], port: int
) -> None:
    assert _launch(tmp_path, "pass", port) == 2
    err = capfd.readouterr().err
    assert f"torchrun.py: the port {port} by which" in err and "PORT=29501" in err
    assert "Traceback" not in err


def test_it_ends_by_the_signal_that_it_gets(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stop = "import time; os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)"
    assert _launch(tmp_path, stop, _free()) == 143
    assert "Traceback" not in capfd.readouterr().err
