"""The monitor without labels measures, logs, and leaves training as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support.monitored import loader, make_runner

from mixssl.engine.hooks import LabelFreeMonitorHook
from mixssl.utils.errors import ConfigError

VIEWS = {
    "num_views": 2,
    "transforms": [[{"type": "RandomResizedCrop", "scale": 16, "crop_ratio_range": (0.5, 1.0)}]],
}


def test_it_measures_and_training_is_as_without(tmp_path: Path) -> None:
    weights = []
    for name in ("with", "without"):
        hook = LabelFreeMonitorHook(loader("test", 24), views=VIEWS, lidar_images=12, lidar_views=2)
        runner = make_runner(tmp_path / name, [hook] if name == "with" else [], epochs=1)
        runner.train()
        weights.append(torch.cat([value.flatten() for value in runner.model.parameters()]))
    assert weights[0].equal(weights[1])
    (log,) = (tmp_path / "with").glob("*/vis_data/scalars.json")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    found = [line for line in lines if "rankme" in line]
    assert len(found) == 2  # before training and after it
    for line in found:
        assert 1 <= line["rankme"] <= 24 and 0 < line["lidar"] <= 12
        assert 0 < line["feature_std"] < 2 and line["uniformity"] < 0 < line["alignment"]


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="lidar_views is 1 and must be at least 2"):
        LabelFreeMonitorHook(loader("test", 24), lidar_views=1)
    with pytest.raises(ConfigError, match="choose 'backbone' or 'projected'"):
        LabelFreeMonitorHook(loader("test", 24), feature="neck")
