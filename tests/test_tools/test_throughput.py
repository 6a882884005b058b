"""The tool that says how fast a config trains."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.benchmarks import measured
from support.tools import ROOT, load_tool

CONFIG = ROOT / "configs/unmix/moco_r18_cifar10.py"
TINY = [
    "model.backbone.base_channels=4",
    "model.backbone.stem_channels=4",
    "model.neck.in_channels=32",
    "model.queue_len=64",
]


def test_images_phases_and_memory_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ("--synthetic", "--batch-size", 16, "--steps", 2, "--warmup", 1)
    options = ("--cfg-options", *TINY, "model.channels_last=True")
    figures = measured("throughput", CONFIG, *run, *options, out=tmp_path / "figures.json")
    assert figures["batch_size"] == 16 and figures["options"]["model.channels_last"] is True
    assert figures["images_per_second"] == pytest.approx(16e3 / figures["step_ms"], rel=0.01)
    assert figures["waiting_for_data"] < 0.05
    phases = figures["phases_ms"]
    assert {"mix", "query", "key", "momentum", "loss", "backward", "optimizer"} <= set(phases)
    assert phases["backward"] > phases["loss"]
    memory = figures["memory"]
    assert memory["ratio"] == pytest.approx(memory["peak_mb"] / memory["peak_mb_without"], rel=0.01)
    assert 1 < memory["ratio"] < 1.9
    said = " ".join(capsys.readouterr().out.split())
    assert "images/s" in said and "times that without the mixture" in said


def test_operations_are_counted_forward_and_back() -> None:
    layer = torch.nn.Linear(5, 6, bias=False)
    rows = torch.randn(4, 5, requires_grad=True)
    step = SimpleNamespace(model=layer, take=lambda batch: layer(batch).sum().backward())
    assert load_tool("benchmarks/throughput").operations(step, rows) == 3 * 2 * 4 * 5 * 6


def test_rows_gather_in_a_table_with_the_share_of_the_peak(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    run = ("--synthetic", "--batch-size", 16, "--steps", 2, "--warmup", 1, "--no-memory", "--peak")
    for row in ("one", "two"):
        given = (*run, "--csv", table, "--row", row, "--cfg-options", *TINY)
        figures = measured("throughput", CONFIG, *given, out=tmp_path / "figures.json")
    one, two = csv.DictReader(table.open())
    assert (one["row"], two["row"]) == ("one", "two") and one["peak_mb"] == ""
    assert one["step_tflop"] == two["step_tflop"]
    reached = float(two["step_tflop"]) / (float(two["step_ms"]) / 1e3)
    assert float(two["share_of_peak"]) == pytest.approx(
        reached / float(two["peak_tflop_s"]), rel=0.01
    )
    assert float(two["images_per_second"]) == figures["images_per_second"]


def test_the_configs_own_loader_is_waited_for(tmp_path: Path) -> None:
    """Digits come with scikit-learn, so that there is something to load."""
    config = ROOT / "configs/demo/unmix_mocov2_r18_digits.py"
    run = ("--steps", 2, "--warmup", 1, "--no-memory", "--batch-size", 16, "--in-memory")
    options = ("--cfg-options", "train_dataloader.num_workers=0")
    figures = measured("throughput", config, *run, *options, out=tmp_path / "figures.json")
    assert 0 < figures["waiting_for_data"] < 1 and figures["phases_ms"]["data"] > 0
    assert "memory" not in figures and figures["options"]["in_memory"]


def test_a_run_without_a_first_step_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="^2$"):
        measured("throughput", CONFIG, "--synthetic", "--warmup", 0, "--cfg-options", *TINY)
    assert "both must be >= 1" in capsys.readouterr().err
