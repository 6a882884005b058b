"""The demo of detection: its rows, what it does not do twice, and the whole way where there is time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from rich.console import Console
from support.needs_detection import needs_detection
from support.tools import ROOT, call_tool, load_tool

from mixssl.visualization.detections import Found

STARTS = ("random", "MoCo v2", "MoCo v2 + Un-Mix")


@pytest.fixture(scope="module")
def tool():
    return load_tool("demo_det")


def _trial(tool, ap: float, seconds: float = 10):
    nothing = [Found(np.zeros((0, 4)), np.zeros(0, dtype=int))] * tool.DRAWN
    return tool.Trial(dict.fromkeys(tool.METRICS, ap), seconds, nothing)


def test_a_row_has_mean_and_deviation_where_there_are_several_trials(tool) -> None:
    assert set(tool.cells_of([_trial(tool, 40.0)]).values()) == {"40.0", "10"}
    several = tool.cells_of([_trial(tool, ap) for ap in (40.0, 41.0, 42.0)])
    assert several == {**dict.fromkeys(tool.METRICS, "41.0 ± 1.0"), "seconds": "10"}


def test_the_summary_has_every_figure_of_a_trial(tool) -> None:
    figures = tool.figures_of(_trial(tool, 30.123))
    assert figures == dict.fromkeys(tool.METRICS, 30.12) | {"seconds": 10.0}


def test_a_pre_training_is_not_repeated_unless_it_differs(tool, tmp_path, monkeypatch) -> None:
    runs = []

    def train(cfg: Config, console: Console) -> None:
        runs.append(cfg.randomness.seed)
        folder = Path(cfg.work_dir)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "last_checkpoint").write_text(str(folder / "epoch_50.pth"))

    monkeypatch.setattr(tool, "train", train)
    console = Console(quiet=True)
    (path, *_) = tool.PRETRAINING.values()

    def pretrain(seed: int, epochs: int | None = None, fresh: bool = False) -> Path:
        return tool.pretrain(tool.short_run(path, tmp_path, epochs, seed), console, fresh)

    assert pretrain(0) == tmp_path / "epoch_50.pth" == pretrain(0)
    assert runs == [0]
    pretrain(0, fresh=True)
    pretrain(1)
    pretrain(1, epochs=3)
    pretrain(1, epochs=3)
    assert runs == [0, 0, 1, 1]


def test_the_detector_has_the_pre_trained_backbone_and_its_normalisation(tool) -> None:
    detector = Config.fromfile(tool.DETECTOR)
    for path in tool.PRETRAINING.values():
        cfg = Config.fromfile(path)
        for key in ("depth", "stem_channels", "base_channels"):
            assert cfg.model.backbone[key] == detector.model.backbone[key]
        for key in ("mean", "std"):
            assert cfg.data_preprocessor[key] == detector.model.data_preprocessor[key]
    without, mixing = (Config.fromfile(path) for path in tool.PRETRAINING.values())
    assert mixing.data_preprocessor.pop("mixer").type == "mixssl.UnMix"
    assert mixing.model.pop("mix_head").type == "mixssl.UnMixHead"
    assert mixing.to_dict() == without.to_dict()


def test_the_picture_shows_a_column_for_each_start(tool, tmp_path, monkeypatch) -> None:
    seen = {}

    def figure(images, columns, classes, title):
        seen.update(images=images, columns=columns, classes=classes)

    monkeypatch.setattr(tool, "detection_figure", figure)
    monkeypatch.setattr(tool, "save_figure", lambda figure, path: path)
    tool.draw(
        {name: [_trial(tool, 1)] for name in STARTS}, Config.fromfile(tool.DETECTOR), tmp_path
    )
    assert list(seen["columns"]) == ["what is there", *(f"from {name}" for name in STARTS)]
    assert len(seen["images"]) == tool.DRAWN and seen["classes"] == tuple("0123456789")
    for found in seen["columns"]["what is there"]:
        for box, mask in zip(found.boxes, found.masks, strict=True):
            rows, columns = np.nonzero(mask)
            assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == list(box)


@pytest.mark.parametrize("option", ["--trials", "--epochs", "--iterations"])
def test_no_training_gets_one_line(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call_tool("demo_det", option, 0) == 2
    assert f"{option} is 0 and must be at least 1" in capsys.readouterr().err


@pytest.mark.slow
@needs_detection
def test_the_whole_way(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, str(ROOT / "tools/demo_det.py"), "--out", str(out)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*command, "--epochs", "1", "--iterations", "2"],
        capture_output=True,
        text=True,
        timeout=1200,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stderr
    assert "loaded 120 of 120 tensors" in done.stdout and "res5: the same" in done.stdout
    summary = json.loads((out / "summary.json").read_text())
    assert tuple(summary["results"]) == STARTS
    assert (out / "detections.png").stat().st_size > 50_000
