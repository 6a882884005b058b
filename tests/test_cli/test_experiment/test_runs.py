"""Runs of an experiment: the processes that do the work, what they say, and how they end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from mmengine.config import Config

from mixssl.cli.experiment import Experiment, Variant
from mixssl.cli.experiment.runs import LOG, call

EMPTY = Config({"a": 1})
VARIANT = Variant("a name, with: signs", "x.py", "", EMPTY, EMPTY, 3)


def script(folder: Path, code: str, name: str = "script.py") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    return str(path)


def test_output_is_appended_and_the_code_handed_on(tmp_path: Path) -> None:
    log = tmp_path / "run" / LOG
    tool = script(tmp_path, "import sys; print('said', *sys.argv[1:]); sys.exit(7)")
    assert call([tool, "first"], log) == 7 and call([tool, "again"], log) == 7
    text = log.read_text()
    assert text.count(f"$ python {tool}") == 2 and "said first" in text and "said again" in text


def test_a_process_that_was_interrupted_stops_the_experiment(tmp_path: Path) -> None:
    script(tmp_path, "import time; time.sleep(0.2); raise SystemExit(130)", "train.py")
    experiment = Experiment(tmp_path, tmp_path / "out", ["knn5"])
    with pytest.raises(KeyboardInterrupt):
        experiment.run(VARIANT, 4)
    record = json.loads((experiment.folder_of(VARIANT) / "seed_4/run.json").read_text())
    assert record["attempts"] == 1 and record["seconds"] > 0 and "checkpoint" not in record


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("raise SystemExit('train.py: no data')", "training ended with code 1: train.py: no data"),
        ("", "training left no epoch_3.pth: much"),
    ],
)
def test_the_last_line_of_the_log_says_why(tmp_path: Path, end: str, said: str) -> None:
    script(tmp_path, f"print('much'); {end}", "train.py")
    experiment = Experiment(tmp_path, tmp_path / "out", ["knn5"])
    run = experiment.run(VARIANT, 4)
    assert run.failure.startswith(f"{said} (all of it: ") and not run.top1 and not run.reused
    assert re.fullmatch("a_name_with_signs-[0-9a-f]{8}", run.folder.parent.name)
    other = Experiment(tmp_path, tmp_path / "out", ["knn5"], train_options=["--amp"])
    assert other.folder_of(VARIANT) != experiment.folder_of(VARIANT), "other settings: another run"
