"""The tool that says how fast a config trains."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.tools import ROOT

CONFIG = ROOT / "configs/unmix/moco_r18_cifar10.py"
TINY = [
    "model.backbone.base_channels=4",
    "model.backbone.stem_channels=4",
    "model.neck.in_channels=32",
    "model.queue_len=64",
]


def _run(*args: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    tool = str(ROOT / "tools/benchmarks/throughput.py")
    command = [sys.executable, tool, *args, "--cfg-options", *TINY, *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)


def test_images_phases_and_memory_are_reported(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    run = ("--synthetic", "--batch-size", "16", "--steps", "2", "--warmup", "1", "--json", str(out))
    done = _run(str(CONFIG), *run, options=("model.channels_last=True",))
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text())
    assert figures["batch_size"] == 16 and figures["options"]["model.channels_last"] is True
    assert figures["images_per_second"] == pytest.approx(16e3 / figures["step_ms"], rel=0.01)
    assert figures["waiting_for_data"] < 0.05
    phases = figures["phases_ms"]
    assert {"mix", "query", "key", "momentum", "loss", "backward", "optimizer"} <= set(phases)
    assert phases["backward"] > phases["loss"]
    memory = figures["memory"]
    assert memory["ratio"] == pytest.approx(memory["peak_mb"] / memory["peak_mb_without"], rel=0.01)
    assert 1 < memory["ratio"] < 1.9
    assert "images/s" in done.stdout and "times that without the mixture" in done.stdout


def test_the_configs_own_loader_is_waited_for(tmp_path: Path) -> None:
    """Digits come with scikit-learn, so that there is something to load."""
    out = tmp_path / "figures.json"
    config = ROOT / "configs/demo/unmix_mocov2_r18_digits.py"
    tool = str(ROOT / "tools/benchmarks/throughput.py")
    command = [sys.executable, tool, str(config), "--steps", "2", "--warmup", "1", "--no-memory"]
    options = ["train_dataloader.num_workers=0"]
    done = subprocess.run(
        [*command, "--batch-size=16", "--json", str(out), "--in-memory", "--cfg-options", *options],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text())
    assert 0 < figures["waiting_for_data"] < 1 and figures["phases_ms"]["data"] > 0
    assert "memory" not in figures and figures["options"]["in_memory"]


def test_a_run_without_a_first_step_is_refused() -> None:
    done = _run(str(CONFIG), "--synthetic", "--warmup", "0")
    assert done.returncode == 2 and "both must be >= 1" in done.stderr
