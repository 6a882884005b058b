"""tools/compare.py on digits: done, stopped and gone on with, with a run that fails; and its page."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest
from support.experiment import write_experiment_config
from support.page import Page
from support.tools import ROOT, call_tool, load_tool, start_tool

from mixssl.cli.experiment import COLUMNS, runs

FAST = ("--epochs", 1, "--seeds", 0, 1, "--protocols", "knn5", "logistic")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs tools in this process, which saves their imports, and lists them."""
    done: list[str] = []

    def call(command: Sequence[str], log: Path) -> int:
        name = Path(command[0]).relative_to(ROOT / "tools").with_suffix("").as_posix()
        done.append(name)
        if name == "benchmarks/step_cost":  # has no exit code
            monkeypatch.setattr(sys, "argv", command)
            load_tool(name).main()
            return 0
        more = ["--cfg-options", f"experiment_name={uuid.uuid4().hex}"] if name == "train" else []
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file, redirect_stderr(file):
            return call_tool(name, *command[1:], *more)

    monkeypatch.setattr(runs, "call", call)
    return done


@pytest.fixture
def configs(tmp_path: Path) -> list[Path]:
    return [write_experiment_config(tmp_path, name, name == "unmix") for name in ("plain", "unmix")]


def read(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    with path.open(newline="") as file:
        return {(record["row"], record["column"]): record for record in csv.DictReader(file)}


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())


def stop_at(number: int, call: Callable[..., int], done: list[str]) -> Callable[..., int]:
    """The same call, but for one that is stopped from outside."""

    def stopped(command: Sequence[str], log: Path) -> int:
        if len(done) == number:
            done.append("stopped")
            raise KeyboardInterrupt
        return call(command, log)

    return stopped


def test_stopped_and_gone_on_with(
    configs: list[Path],
    tmp_path: Path,
    calls: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    whole = runs.call
    # Train and judge the first row, train the second, and no further.
    monkeypatch.setattr(runs, "call", stop_at(3, whole, calls))
    assert call_tool("compare", *configs, *FAST, "--out", out) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    assert calls == ["train", "evaluate/protocols", "train", "stopped"]
    found = read(out / "results.csv")
    assert set(found) == {("plain", "knn5"), ("plain", "logistic")}
    assert found["plain", "knn5"]["seeds"] == "0"
    first = found["plain", "knn5"]["value"]

    calls.clear()
    monkeypatch.setattr(runs, "call", whole)
    assert call_tool("compare", *configs, *FAST, "--out", out, "--title", "digits") == 0
    again = ["evaluate/protocols"] + 2 * ["train", "evaluate/protocols"]
    assert calls == again, "what was finished is not done again"
    check_whole(out, first)

    calls.clear()
    assert call_tool("compare", *configs, *FAST, "--out", out, "--title", "digits") == 0
    assert calls == []
    other = ["--cfg-options", "optim_wrapper.optimizer.lr=0.01", "--out", out]
    short = ["--epochs", 1, "--protocols", "knn5"]
    assert call_tool("compare", configs[0], *short, *other) == 0
    assert calls == ["train", "evaluate/protocols"], "other settings are another run"
    assert len(list((out / "runs").iterdir())) == 3


def check_whole(out: Path, first: str) -> None:
    """The files of the whole comparison."""
    found = read(out / "results.csv")
    protocols = ("knn5", "logistic")
    assert set(found) == {
        *((row, name) for row in ("plain", "unmix") for name in protocols),
        *(("unmix", f"{name} gain") for name in protocols),
    }
    figure = found["unmix", "knn5"]
    assert tuple(figure) == COLUMNS
    assert (figure["table"], figure["n"], figure["seeds"]) == ("digits", "2", "0 1")
    assert (figure["data"], figure["epochs"]) == ("Digits", "1")
    by_seed = {}
    for row in ("plain", "unmix"):
        (folder,) = (out / "runs").glob(f"{row}-*")
        for seed in (0, 1):
            top1 = record(folder / f"seed_{seed}")["top1"]
            by_seed[row, seed] = top1["its own"]["knn5"]
    assert f"{by_seed['plain', 0]:.2f}" == first
    gains = [by_seed["unmix", seed] - by_seed["plain", seed] for seed in (0, 1)]
    assert float(found["unmix", "knn5 gain"]["value"]) == pytest.approx(sum(gains) / 2, abs=0.006)

    page = Page((out / "report.html").read_text())
    assert page.open == [] and len(page.pictures) == 2
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    for picture in page.pictures:
        pixels = matplotlib.image.imread(BytesIO(picture))
        assert pixels.shape[1] == 1200 and pixels[..., :3].std() > 0.01
    facts = {row[0]: row[1] for row in page.rows if len(row) == 2}
    assert facts["seeds"] == "0 1" and "--epochs 1" in facts["command"] and facts["machine"]
    assert "epochs 50 → 1" in facts["unmix"] and "compared with: plain" in facts["unmix"]
    table = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in (out / "table.md").open()
    ]
    assert next(row for row in page.rows if row[:1] == ["unmix"] and len(row) > 6) == table[3]


def test_a_run_that_fails_leaves_the_others(
    configs: list[Path], tmp_path: Path, calls: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    short = ["--epochs", 1, "--protocols", "knn5", "--with-untrained"]
    options = ["--cfg-options", "model.mix_head.type?=mixssl.NoSuchHead"]
    good = configs[0]
    assert call_tool("compare", good, configs[1], *short, *options, "--out", out) == 1
    said = capsys.readouterr().err
    assert "compare.py: unmix, seed 0: training ended with code 2: " in said
    assert "NoSuchHead" in said and str(out / "runs") in said
    found = read(out / "results.csv")
    assert set(found) == {("untrained", "knn5"), ("plain", "knn5")}
    page = (out / "report.html").read_text()
    assert "1 of 3 runs failed" in page and 'class="alert"' in page


def test_a_plan_is_shown_without_a_run(
    configs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    sweep = ["--sweep", "data_preprocessor.mixer.p_global=0,0.5,1", "--with-baseline"]
    assert call_tool("compare", configs[1], "--epochs", 5, *sweep, "--out", out, "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.partition(":")[0] for line in lines]
    assert [name for name in names if name.startswith("unmix")] == [
        "unmix, no mixture",
        "unmix, p_global 0",
        "unmix, p_global 0.5",
        "unmix, p_global 1",
    ]
    assert all("epochs 50 → 5" in line for line in lines if line.startswith("unmix"))
    assert not out.exists()


def test_equal_compute(configs: list[Path], tmp_path: Path, calls: list[str]) -> None:
    out = tmp_path / "out"
    options = ["--epochs", 2, "--protocols", "knn5", "--equal-compute", "needed", "--cost-pairs", 2]
    assert call_tool("compare", configs[1], *options, "--out", out) == 0
    assert calls.count("benchmarks/step_cost") == 1 and calls.count("train") == 3
    found = read(out / "results.csv")
    # Asymmetric MoCo: 3 + 1 passes; Un-Mix adds 3 for the mixture, its keys are there. 2 epochs cost as much as 3.5.
    assert found["unmix", "cost"]["value"] == "1.75"
    longer = "unmix, no mixture, 4 epochs"
    assert found[longer, "knn5"]["epochs"] == "4"
    expected = float(found["unmix", "knn5"]["value"]) - float(found[longer, "knn5"]["value"])
    assert float(found["unmix", "knn5 gain, equal compute"]["value"]) == pytest.approx(expected)


def test_a_cost_that_can_not_be_measured_stops_nothing(
    configs: list[Path],
    tmp_path: Path,
    calls: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, out = runs.call, tmp_path / "out"

    def without_cost(command: Sequence[str], log: Path) -> int:
        return 1 if command[0].endswith("step_cost.py") else whole(command, log)

    monkeypatch.setattr(runs, "call", without_cost)
    options = ["--epochs", 1, "--protocols", "knn5", "--equal-compute", "--out", out]
    assert call_tool("compare", configs[1], *options) == 1
    assert "measuring the cost of 'unmix' ended with code 1" in capsys.readouterr().err
    assert ("unmix", "knn5 gain") in read(out / "results.csv")
    assert "| not run |" in (out / "table.md").read_text()


@pytest.mark.slow
def test_sigterm_reaches_the_run_and_it_is_resumed(tmp_path: Path) -> None:
    config = write_experiment_config(tmp_path, "plain", mixed=False)
    out = tmp_path / "out"
    arguments = [config, "--epochs", 100, "--protocols", "knn5", "--out", out]
    process = start_tool("compare.py", *arguments)
    deadline = time.monotonic() + 120
    while not list(out.glob("runs/*/seed_0/*/vis_data/scalars.json")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    (folder,) = out.glob("runs/*/seed_0")
    assert (folder / "interrupted.pth").is_file() and "checkpoint" not in record(folder)
    command = [sys.executable, str(ROOT / "tools/compare.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    assert record(folder)["attempts"] == 2
    assert "continuing from" in (folder / "log.txt").read_text()
