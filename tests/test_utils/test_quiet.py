"""What others say at every start is dropped, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import mmengine.fileio
import mmengine.logging
import pytest
from support.tools import ROOT


@pytest.mark.parametrize(
    "code",
    [
        "import mixssl.models, mixssl.datasets",
        "import mixssl, mmdet.models, mmdet.datasets, mmdet.apis",
    ],
)
def test_an_import_says_nothing(code: str) -> None:
    if "mmdet" in code:
        pytest.importorskip("mmdet")
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_a_checkpoint_hook_does_is_not_held_against_its_user(
    capfd: pytest.CaptureFixture[str],
) -> None:
    mmengine.fileio.FileClient.infer_client(uri="work_dirs")
    said = capfd.readouterr()
    assert said.out == said.err == ""


def test_all_else_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    mmengine.logging.print_log("Could not import torch", level=10)
    assert capfd.readouterr().out == "Could not import torch\n"
