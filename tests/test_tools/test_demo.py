"""The demo runs, prints its three rows, and leaves what it says it leaves."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import pytest
from support.tools import ROOT, call_tool

ROWS = ("untrained", "MoCo v2", "MoCo v2 + Un-Mix")
EPOCHS = 1


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "out"


@pytest.fixture(scope="module")
def printed(out: Path) -> str:
    """What a run of one epoch prints where there is no terminal."""
    command = [sys.executable, str(ROOT / "tools/demo.py"), "--epochs", str(EPOCHS), "--out", out]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _rows(text: str) -> dict[str, list[float]]:
    """Numbers of the table's rows by name."""
    found = (
        re.match(r"│ (.+?) +│ +([\d.]+) │ +([\d.]+) │ +([\d.]+) │", s) for s in text.splitlines()
    )
    return {match[1]: [float(match[i]) for i in (2, 3, 4)] for match in found if match}


def test_table_and_summary_say_the_same(printed: str, out: Path) -> None:
    summary = json.loads((out / "summary.json").read_text())
    table = _rows(printed)
    assert tuple(table) == tuple(summary["results"]) == ROWS
    for name, (knn, linear, seconds) in table.items():
        row = summary["results"][name]
        assert knn == pytest.approx(row["knn"], abs=0.051)
        assert linear == pytest.approx(row["linear"], abs=0.051)
        assert seconds == pytest.approx(row["seconds"], abs=0.51)
        assert 10 < knn <= 100
        assert 10 < linear <= 100


def test_summary_tells_how_to_repeat_the_run(printed: str, out: Path) -> None:
    summary = json.loads((out / "summary.json").read_text())
    assert summary["command"].startswith("python ")
    assert f"--epochs {EPOCHS}" in summary["command"]
    assert (summary["seed"], summary["epochs"]) == (0, EPOCHS)
    assert {"cores", "torch", "python", "threads"} <= set(summary)


def test_pictures_lie_where_it_says(printed: str, out: Path) -> None:
    for name in ("mixtures", "curves", "tsne"):
        path = out / f"{name}.png"
        assert re.search(rf"{name}: {re.escape(str(path))}$", printed, re.MULTILINE)
        assert matplotlib.image.imread(path).shape[1] == 1200


def test_progress_is_seen_and_the_config_is_not(printed: str) -> None:
    assert "MoCo v2 + Un-Mix\n  iteration 2/20, loss" in printed
    assert "optim_wrapper" not in printed
    assert len(printed.splitlines()) < 40


def test_no_epochs_get_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call_tool("demo", "--epochs", 0, "--out", tmp_path / "out") == 2
    assert "--epochs is 0" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
