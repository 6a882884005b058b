"""What demos share: short runs, a line now and then, a table and its file."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.logging import MessageHub
from rich.console import Console
from support.tools import ROOT

from mixssl.cli.demo import LossLines, report, short_run

EPOCHS = ROOT / "configs/demo/mocov2_r18_digits.py"
ITERATIONS = ROOT / "configs/benchmarks/detection/faster_rcnn_r18_fpn_bccd.py"


def test_a_schedule_is_stretched_to_the_length(tmp_path) -> None:
    planned = Config.fromfile(EPOCHS)
    cfg = short_run(EPOCHS, tmp_path, 25, seed=3)
    assert (cfg.work_dir, cfg.log_level, cfg.randomness.seed) == (str(tmp_path), "ERROR", 3)
    assert cfg.train_cfg.max_epochs == cfg.default_hooks.checkpoint.interval == 25
    assert [(p.begin, p.end) for p in planned.param_scheduler] == [(0, 8), (8, 50)]
    assert [(p.begin, p.end) for p in cfg.param_scheduler] == [(0, 4), (4, 25)]
    (only,) = short_run(EPOCHS, tmp_path, 1, seed=3).param_scheduler
    assert (only.type, only.begin, only.end) == ("CosineAnnealingLR", 0, 1)


def test_without_a_length_it_is_the_configs_own(tmp_path) -> None:
    planned, cfg = Config.fromfile(EPOCHS), short_run(EPOCHS, tmp_path, None, seed=0)
    for key in ("model", "train_cfg", "param_scheduler", "optim_wrapper", "train_dataloader"):
        assert cfg[key] == planned[key], key
    assert planned.default_hooks.keys() - cfg.default_hooks.keys() == {
        "exact_resume",
        "graceful_stop",
    }


def test_a_loop_of_iterations_validates_at_its_end(tmp_path) -> None:
    pytest.importorskip("mmdet", reason="the config inherits mmdet's")
    cfg = short_run(ITERATIONS, tmp_path, 40, seed=0)
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval) == (40, 40)
    assert [(p.begin, p.end) for p in cfg.param_scheduler] == [(0, 3), (3, 40)]
    assert cfg.default_hooks.checkpoint.interval == 40


def test_a_run_gets_ten_lines() -> None:
    text = io.StringIO()
    hook = LossLines(Console(file=text, width=80))
    hub = MessageHub.get_instance("short_runs")
    for i in range(30):
        hub.update_scalar("train/loss", i / 4)
        hook.after_train_iter(SimpleNamespace(iter=i, max_iters=30, message_hub=hub))
    lines = text.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "  iteration 3/30, loss 0.50" and lines[-1] == "  iteration 30/30, loss 7.25"


def test_the_table_and_the_file_say_what_came_of_it(tmp_path) -> None:
    text = io.StringIO()
    rows = {"random": {"AP": "31.0", "seconds": "9"}, "MoCo v2": {"AP": "32.0", "seconds": "10"}}
    console = Console(file=text, width=200)
    report(console, "seeds 0, 1", rows, "A note.", {"curves": tmp_path / "a.png"}, tmp_path, n=3)
    said = text.getvalue()
    assert "seeds 0, 1" in said and "A note." in said and f"curves: {tmp_path / 'a.png'}" in said
    assert [line.split() for line in said.splitlines() if "3" in line and "│" in line] == [
        ["│", "random", "│", "31.0", "│", "9", "│"],
        ["│", "MoCo", "v2", "│", "32.0", "│", "10", "│"],
    ]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["n"] == 3 and {"command", "torch", "device"} <= set(summary)
