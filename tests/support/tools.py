"""Runs the tools: in this process where an exit code and a line are all that counts, else in their own."""

from __future__ import annotations

import importlib.util
import os
import runpy
import subprocess
import sys
import uuid
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

NAME = "experiment_name = '{{$TEST_RUN:test}}'"
"""Line of a config by which every run in a process has its own logger; mmengine's names differ by the second only."""
TINY = """
_base_ = [{base!r}]
model = dict(
    queue_len=64, feat_dim=8, backbone=dict(stem_channels=4, base_channels=4),
    neck=dict(in_channels=32, hid_channels=8, out_channels=8))
train_dataloader = dict(
    batch_size=16, num_workers=0, persistent_workers=False, dataset=dict(indices=160))
train_cfg = dict(max_epochs={epochs})
default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=-1), logger=dict(interval=2),
    graceful_stop=dict(interval=2))
randomness = dict(seed=3)
{name}
"""
"""The demo's Un-Mix, small enough for a test: ten iterations of 16 digits make an epoch."""


def write_tiny(folder: Path, epochs: int = 3) -> Path:
    """Writes the tiny config into a folder outside the repository."""
    base = ROOT / "configs" / "demo" / "unmix_mocov2_r18_digits.py"
    path = folder / "tiny.py"
    path.write_text(TINY.format(base=str(base), epochs=epochs, name=NAME))
    return path


def call_tool(name: str, *arguments: object, folder: str = "tools") -> int:
    """Runs <folder>/<name>.py in this process.

    Returns:
        Exit code.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_RUN", uuid.uuid4().hex)
        patch.setattr(sys, "argv", [f"{folder}/{name}.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(ROOT / folder / f"{name}.py"), run_name="__main__")
    return int(caught.value.code or 0)


def load_tool(name: str, folder: str = "tools") -> ModuleType:
    """<folder>/<name>.py as a module; tools are no package."""
    path = ROOT / folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{path.stem}_tool", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start_tool(path: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Starts tools/<path> in a process of its own; output and errors come in one stream of lines."""
    command = [str(ROOT / "tools" / path), *map(str, arguments)]
    if path.endswith(".py"):
        command.insert(0, sys.executable)
    settings = {
        "PYTHONPATH": str(ROOT),
        "PYTHON": sys.executable,
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **settings, **environment},
    )
