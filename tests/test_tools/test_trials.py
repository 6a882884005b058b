"""tools/benchmarks/trials.py: mean and standard deviation over seeds, as a line and as rows."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from support.tools import call_tool


def _trial(folder: Path, seed: int, **metrics: float) -> None:
    path = folder / f"seed_{seed}" / "metrics.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({name.replace("__", "/"): value for name, value in metrics.items()}))


def test_three_trials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "unmix"
    for seed, ap in ((10, 0.576), (9, 0.577), (11, 0.581)):
        more = {"pascal_voc__AP75": 0.64, "pascal_voc__AP60": 0.7, "coco__bbox_mAP_l": -1.0}
        _trial(folder, seed, pascal_voc__mAP=ap, pascal_voc__AP50=0.83, **more)
    assert call_tool("benchmarks/trials", folder, "--config", "c.py", "--devices", 0) == 0
    line = capsys.readouterr().out.strip()
    assert line == (
        "unmix: pascal_voc/mAP 57.8 ± 0.3, pascal_voc/AP50 83.0 ± 0.0, pascal_voc/AP75 64.0 ± 0.0 "
        f"(3 trials, seeds 9 10 11); rows in {folder / 'results.csv'}"
    )
    with (folder / "results.csv").open() as file:
        rows = {row["metric"]: row for row in csv.DictReader(file)}
    assert set(rows) == {f"pascal_voc/{name}" for name in ("mAP", "AP50", "AP60", "AP75")}
    row = rows["pascal_voc/mAP"]
    assert float(row["mean"]) == pytest.approx(0.578)
    assert float(row["std"]) == pytest.approx(0.0026458, abs=1e-6)  # of a sample: over n - 1
    assert (row["n"], row["seeds"], row["values"]) == ("3", "9 10 11", "0.577 0.576 0.581")
    assert (row["weights"], row["config"], row["device"]) == ("unmix", "c.py", "1 x CPU")
    assert json.loads((folder / "results.json").read_text())[0]["mean"] == float(row["mean"])


def test_one_trial_has_no_deviation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _trial(tmp_path, 0, coco__bbox_mAP=0.409, coco__segm_mAP_50=0.5, coco__bbox_mAP_s=0.2)
    assert call_tool("benchmarks/trials", tmp_path) == 0
    assert (
        ": coco/bbox_mAP 40.9, coco/segm_mAP_50 50.0 (1 trial, seeds 0)" in capsys.readouterr().out
    )
    assert json.loads((tmp_path / "results.json").read_text())[0]["std"] is None


def test_metrics_without_a_known_name_are_all_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _trial(tmp_path, 0, recall=0.5)
    assert call_tool("benchmarks/trials", tmp_path) == 0
    assert ": recall 50.0 (1 trial" in capsys.readouterr().out


def test_a_folder_without_trials_and_trials_of_two_kinds_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call_tool("benchmarks/trials", tmp_path) == 2
    assert "holds no seed_<n>/metrics.json" in capsys.readouterr().err
    _trial(tmp_path, 0, coco__bbox_mAP=0.4)
    _trial(tmp_path, 1, pascal_voc__mAP=0.4)
    assert call_tool("benchmarks/trials", tmp_path) == 2
    assert "have different metrics" in capsys.readouterr().err
