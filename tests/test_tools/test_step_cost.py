"""The tool that says what a mixture costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.benchmarks import measured
from support.tools import ROOT

CONFIG = ROOT / "configs/unmix/moco_r18_cifar10.py"
TINY = [
    "model.backbone.base_channels=4",
    "model.backbone.stem_channels=4",
    "model.neck.in_channels=32",
]


TINY_RUN = ("--batch-size", 16, "--pairs", 3, "--cfg-options", *TINY)


def test_ratio_limit_and_spread_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = measured("step_cost", CONFIG, *TINY_RUN, out=tmp_path / "cost.json")
    assert figures["units"] == [11, 8] and figures["limit"] == pytest.approx(1.375)
    assert figures["pairs"] == 3 and figures["batch_size"] == 16 and figures["size"] == 32
    low, high = figures["quartiles"]
    assert 0 < low <= figures["ratio"] <= high
    said = capsys.readouterr().out
    assert "passes needed" in said and "1.375" in said


def test_a_config_without_a_mixture_is_refused() -> None:
    with pytest.raises(SystemExit, match="has no mixer, so there is nothing to compare"):
        measured("step_cost", CONFIG, *TINY_RUN, "data_preprocessor.mixer=None")


def test_mmpretrains_method_is_measured_against(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cost.json"
    figures = measured("step_cost", CONFIG, "--against-mmpretrain", *TINY_RUN, out=out)
    assert figures["units"] == [4, 4] and figures["limit"] == 1
    assert 0.3 < figures["ratio"] < 3
    assert "mmpretrain" in capsys.readouterr().out


def test_what_is_no_mixer_is_measured_against_another_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    four, two = (
        ROOT / f"configs/fastsiam/{name}_r18_cifar10.py" for name in ("fastsiam", "simsiam")
    )
    figures = measured("step_cost", four, "--against", two, *TINY_RUN, out=tmp_path / "cost.json")
    assert figures["units"] == [12, 6] and figures["limit"] == 2
    assert figures["config"] == str(four) and figures["ratio"] > 0
    assert "against" in capsys.readouterr().out


@pytest.mark.slow
def test_every_mixture_of_the_grid_is_measured_against_its_limit(tmp_path: Path) -> None:
    out = tmp_path / "all.json"
    run = ("--batch-size", "16", "--pairs", "2", "--warmup", "1", "--json", str(out))
    options = (*TINY, "model.symmetric=False")
    command = [sys.executable, str(ROOT / "docs/costs.py"), str(CONFIG), *run]
    done = subprocess.run(
        [*command, "--cfg-options", *options], capture_output=True, text=True, cwd=ROOT, timeout=300
    )
    assert done.returncode == 0, done.stderr
    rows = {row["config"]: row for row in json.loads(out.read_text())}
    assert rows["AMix-I"]["units"] == [10, 4] and rows["Un-Mix"]["units"] == [7, 4]
    assert rows["MixCo"]["units"] == [5.5, 4] and len(rows) > 25
    assert all(row["ratio"] > 0 for row in rows.values())
