"""How tools begin: help at once, and one line where Python has not what they need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.tools import ROOT

from mixssl.cli import arguments
from mixssl.evaluation import PROTOCOLS

QUICK = [
    "train",
    "test",
    "compare",
    "evaluate/knn",
    "evaluate/linear",
    "evaluate/protocols",
    "visualize/mixtures",
]
"""Tools whose --help must not wait for torch."""
SHOW_HELP = f"""
import runpy, sys
for name in {QUICK}:
    sys.argv = [name, '--help']
    try:
        runpy.run_path(f'tools/{{name}}.py', run_name='__main__')
    except SystemExit as end:
        print(name, end.code, 'torch' in sys.modules, file=sys.stderr)
"""


def test_help_does_not_wait_for_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOW_HELP],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.splitlines() == [f"{name} 0 False" for name in QUICK]
    assert done.stdout.count("--cfg-options") >= 6 and "--traceback" in done.stdout


def test_the_protocols_of_the_help_are_those_there_are() -> None:
    titles = {name: protocol.title for name, protocol in PROTOCOLS.items()}
    assert titles == arguments.PROTOCOLS


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """A Python without what make setup installs."""
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("tool", ["train.py", "test.py", "compare.py"])
def test_without_the_environment_a_tool_says_how_to_activate_it(
    bare_python: Path, tool: str
) -> None:
    without = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [bare_python, ROOT / "tools" / tool, "c.py"],
        env=without,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{tool}: No module named 'mixssl'; ")
    assert line.endswith("source .venv/bin/activate")


def test_without_the_environment_a_launcher_says_so(bare_python: Path) -> None:
    done = subprocess.run(
        [ROOT / "tools/dist_train.sh", "c.py", "2"],
        env={**os.environ, "PYTHON": str(bare_python)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"train.py: {bare_python} has no torch or no mmengine; after")
    assert done.stderr.count("\n") == 1
