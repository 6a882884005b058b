"""The tests compute on the device that they are told to, and say so where there is none."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import torch
from support import tiny
from support.tools import ROOT

PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")


def test_models_and_batches_lie_where_they_are_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny, "DEVICE", torch.device("meta"))
    model = tiny.build(tiny.moco(mixer={"type": "mixssl.UnMix"}))
    held = [*model.parameters(), *model.buffers(), *tiny.views()]
    assert {tensor.device.type for tensor in held} == {"meta"}


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
def test_without_a_gpu_all_that_computes_is_skipped_for_one_reason() -> None:
    marked = [
        str(path)
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if re.search(r"mark\.(gpu|device)\b", path.read_text())
    ]
    done = subprocess.run(
        [*PYTEST, "-m", "gpu or device", *marked],
        cwd=ROOT,
        env=os.environ | {"MIXSSL_TEST_DEVICE": "cuda", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    said = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert done.returncode == 0, done.stdout[-2000:]
    assert said and all(line.endswith("there is no GPU") for line in said), said
    assert int(done.stdout.splitlines()[-1].split()[0]) > 300  # all of them skipped
