"""A config brought to another number of epochs."""

from __future__ import annotations

import pytest
from mmengine.config import Config
from support.tools import ROOT

from mixssl.cli.experiment import fit_epochs
from mixssl.utils.errors import ConfigError


def config(schedules: list[dict], epochs: int = 100, **more: object) -> Config:
    return Config({"train_cfg": {"max_epochs": epochs}, "param_scheduler": schedules, **more})


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        # 10 of 100 epochs of warm-up are 2 of 20, and none of 4: 0.4 is nearer to none.
        (20, [(0, 2, None), (2, 20, 18)]),
        (4, [(0, 4, 4)]),
        (200, [(0, 20, None), (20, 200, 180)]),
    ],
)
def test_a_cosine_with_its_warmup(epochs: int, expected: list) -> None:
    cfg = config(
        [
            {"type": "LinearLR", "by_epoch": True, "begin": 0, "end": 10},
            {"type": "CosineAnnealingLR", "by_epoch": True, "begin": 10, "end": 100, "T_max": 90},
        ]
    )
    notes = fit_epochs(cfg, epochs)
    found = [(part.begin, part.end, part.get("T_max")) for part in cfg.param_scheduler]
    assert found == expected and cfg.train_cfg.max_epochs == epochs
    assert f"epochs 100 → {epochs}" in notes
    assert ("LinearLR: left out, shorter than half an epoch" in notes) == (epochs == 4)


@pytest.mark.parametrize(
    ("epochs", "expected"), [(200, [190, 195]), (20, [19, 19]), (3, [2, 2]), (1, [1, 1])]
)
def test_milestones_stay_within_the_run(epochs: int, expected: list[int]) -> None:
    cfg = config([{"type": "MultiStepLR", "by_epoch": True, "milestones": [950, 975]}], 1000)
    fit_epochs(cfg, epochs)
    assert cfg.param_scheduler[0].milestones == expected


def test_schedules_by_iteration_have_the_same_ratio() -> None:
    cfg = config([{"type": "LinearLR", "by_epoch": False, "begin": 0, "end": 500}], 1000)
    assert "LinearLR: end 500 → 3" in fit_epochs(cfg, 5)  # 2.5, half up
    assert cfg.param_scheduler[0].end == 3
    fit_epochs(cfg, 1)
    assert cfg.param_scheduler[0].end == 1  # never none


@pytest.mark.parametrize(("epochs", "every"), [(1000, 100), (200, 20), (6, 1), (37, 4)])
def test_monitors_and_checkpoints_come_ten_times_at_most(epochs: int, every: int) -> None:
    cfg = config(
        [],
        1000,
        custom_hooks=[
            {"type": "mixssl.LinearProbeHook"},
            {"type": "mixssl.GracefulStopHook", "interval": 10},
            {"type": "mixssl.MixtureGrid", "interval": None, "iter_interval": 7},
        ],
        default_hooks={
            "checkpoint": {"type": "CheckpointHook", "interval": 50},
            "knn": {"type": "mixssl.KNNMonitorHook", "interval": 5},
            "graceful_stop": None,
        },
    )
    fit_epochs(cfg, epochs)
    assert [hook.interval for hook in cfg.custom_hooks] == [every, 10, None]
    assert cfg.default_hooks.knn.interval == every and cfg.default_hooks.graceful_stop is None
    checkpoint = cfg.default_hooks.checkpoint
    assert (checkpoint.interval, checkpoint.max_keep_ckpts) == (every, 1)


def test_the_warmup_of_a_mix_head() -> None:
    cfg = config([], 100, model={"mix_head": {"warmup_epochs": 10.0}})
    assert "mix_head: warmup_epochs 10 → 2.5" in fit_epochs(cfg, 25)
    assert cfg.model.mix_head.warmup_epochs == 2.5


def test_as_planned_nothing_of_the_schedule_changes() -> None:
    path = ROOT / "configs/demo/unmix_mocov2_r18_digits.py"
    cfg, plain = Config.fromfile(path), Config.fromfile(path)
    fit_epochs(cfg, 50)
    assert cfg.param_scheduler == plain.param_scheduler and cfg.train_cfg == plain.train_cfg


def test_what_can_not_be_brought_to_a_length() -> None:
    with pytest.raises(ConfigError, match="has no train_cfg.max_epochs"):
        fit_epochs(Config({"train_cfg": {"max_iters": 100}}), 5)
    with pytest.raises(ConfigError, match="epochs is 0 and must be at least 1"):
        fit_epochs(config([]), 0)
    with pytest.raises(ConfigError, match="several optimizers"):
        fit_epochs(Config({"train_cfg": {"max_epochs": 9}, "param_scheduler": {"a": []}}), 5)
