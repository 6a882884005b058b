"""What a GPU is lent for: each stage's commands are taken by their tools, and what is done is not done again."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.tools import ROOT, load_tool

from mixssl.cli.parsers import train_arguments

STAGES = ("setup", "tests", "throughput", "train")


def _call(*arguments: str, out: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    script = str(ROOT / "tools/benchmarks/on_gpu.sh")
    usual = {"PYTHON": "python", "DATA": "cifar10.tar.xz", "WHEELS": "wheels", "OUT": str(out)}
    env = os.environ | usual | settings
    return subprocess.run(["bash", script, *arguments], env=env, capture_output=True, text=True)


def _commands(*stages: str, out: Path, **settings: str) -> list[list[str]]:
    done = _call("--dry-run", *stages, out=out, **settings)
    assert done.returncode == 0, done.stderr
    return [shlex.split(line) for line in done.stdout.splitlines()]


def _train() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    train_arguments(parser)
    return parser.parse_args()


def test_the_tools_take_what_they_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsers: dict[str, Callable[[], Any]] = {
        "tools/train.py": _train,
        "tools/benchmarks/throughput.py": load_tool("benchmarks/throughput")._parse,
        "docs/pipeline.py": load_tool("pipeline", "docs")._parse,
    }
    found: dict[str, list[Any]] = {tool: [] for tool in parsers}
    for command in _commands(*STAGES, out=tmp_path):
        if command[1] in parsers:
            monkeypatch.setattr(sys, "argv", command[1:])
            found[command[1]].append(parsers[command[1]]())
    trained, measured, views = found.values()
    assert all((ROOT / args.config).is_file() for args in (*trained, *measured, *views))
    assert len({args.work_dir for args in trained}) == 4
    assert [args.cfg_options.get("data_preprocessor.mixer", 1) for args in trained] == [None, 1] * 2
    rows = {args.row: args for args in measured}
    assert len(rows) == len(measured) == 14
    assert rows["r18: all"].device_views and not rows["r18: without --device-views"].device_views
    assert "model.compile_encoders" in rows["r50: compiled"].cfg_options
    assert not tmp_path.joinpath("train").exists()


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    done = _call("tests", out=tmp_path, PYTHON="true")
    assert done.returncode == 0 and "== tests" in done.stdout
    assert not _commands("tests", out=tmp_path)
    assert _call("tests", out=tmp_path, PYTHON="false").stdout == ""
    (tmp_path / "train/moco").mkdir(parents=True)
    (tmp_path / "train/moco/5.done").touch()
    (first, *_) = _commands("train", out=tmp_path)
    assert str(tmp_path / "train/moco_unmix") in first


def test_a_failure_is_said_and_tried_again(tmp_path: Path) -> None:
    done = _call("tests", out=tmp_path, PYTHON="false")
    assert done.returncode == 1 and "tests ended with code 1" in done.stderr
    assert _commands("tests", out=tmp_path)


def test_when_the_time_is_up_the_rest_waits_for_the_next_call(tmp_path: Path) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    done = _call("tests", "throughput", out=tmp_path, PYTHON=str(slow), LIMIT="2")
    assert done.returncode == 0 and "time is up at" in done.stdout
    assert not list(tmp_path.rglob("*.done"))


@pytest.mark.parametrize("arguments", [(), ("everything",), ("train", "everything")])
def test_stages_are_named(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = _call(*arguments, out=tmp_path)
    assert done.returncode == 2 and "setup|tests|throughput|train" in done.stderr


def test_training_needs_images(tmp_path: Path) -> None:
    done = _call("train", out=tmp_path, DATA="")
    assert done.returncode == 2 and "train needs DATA" in done.stderr
