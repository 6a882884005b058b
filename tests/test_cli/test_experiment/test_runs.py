"""Processes of a comparison: what they say, how they end, and who is at work."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmengine.config import Config

from mixssl.cli.experiment import Row, Runs
from mixssl.cli.experiment.processes import LOG, call
from mixssl.utils.errors import ConfigError


def script(folder: Path, code: str) -> str:
    path = folder / "script.py"
    path.write_text(code)
    return str(path)


def test_output_is_appended_and_the_code_handed_on(tmp_path: Path) -> None:
    log = tmp_path / "run" / LOG
    tool = script(tmp_path, "import sys; print('said', *sys.argv[1:]); sys.exit(7)")
    assert call([tool, "first"], log) == 7 and call([tool, "again"], log) == 7
    text = log.read_text()
    assert text.count(f"$ python {tool}") == 2 and "said first" in text and "said again" in text


def test_a_process_that_was_interrupted_stops_the_comparison(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        call([script(tmp_path, "raise SystemExit(130)")], tmp_path / LOG)


def test_two_processes_are_not_at_work_in_one_folder(tmp_path: Path) -> None:
    """Also when the comparison that has started the first one is gone."""
    tool = script(tmp_path, "import time; print('here', flush=True); time.sleep(30)")
    other = (
        "import sys, subprocess, fcntl\n"
        f"file = open({str(tmp_path / LOG)!r}, 'ab')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        f"print(subprocess.Popen([sys.executable, {tool!r}], stdout=file, stderr=file).pid)\n"
    )
    done = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=True)
    child = int(done.stdout)
    try:
        with pytest.raises(ConfigError, match="another process is at work in"):
            call([tool], tmp_path / LOG)
    finally:
        subprocess.run(["kill", str(child)], check=True)
    for _ in range(100):
        try:
            assert call([script(tmp_path, "pass")], tmp_path / LOG) == 0
            break
        except ConfigError:  # it takes a moment to go
            time.sleep(0.05)
    else:
        pytest.fail("the folder stayed locked")


def test_the_last_line_of_the_log_says_why(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    code = "print('much'); raise SystemExit('train.py: the data are not there')"
    (tmp_path / "tools" / "train.py").write_text(code)
    row = Row("a row, with: signs", "x.py", "", Config({"a": 1}), 3, (), False)
    runs = Runs(tmp_path, tmp_path / "out", ["knn5"])
    outcome = runs.carry_out(row, 4)
    assert outcome.failure.startswith(
        "training ended with code 1: train.py: the data are not there (all of it: "
    )
    assert re.fullmatch("a_row_with_signs-[0-9a-f]{8}", outcome.folder.parent.name)
    other = Runs(tmp_path, tmp_path / "out", ["knn5"], train_options=["--amp"])
    assert other.folder_of(row) != runs.folder_of(row), "other settings are another run"
    assert not outcome.top1 and not outcome.reused and outcome.seed == 4
