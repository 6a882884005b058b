"""The measurement of pipelines: what it compares, and what it makes of the seconds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.utils import register_all_modules
from support.tools import ROOT, load_tool

TOOL = load_tool("pipeline", "docs")


@pytest.mark.parametrize(
    "name",
    ["unmix/moco_r18_cifar10.py", "unmix/byol_r18_stl10.py", "mixco/mocov2_r18_tiny.py"],
)
def test_every_way_makes_the_same_number_of_views_of_the_same_size(name: str) -> None:
    register_all_modules(init_default_scope=False)
    views = TOOL.multi_view(Config.fromfile(ROOT / "configs" / name))
    images = TOOL.smooth_images(4, 40)
    assert images.shape == (4, 3, 40, 40) and images.dtype == torch.uint8
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        first = TOOL.per_image(views, images)()["inputs"]
    second = TOOL.torchvision(views, images)()
    assert len(first) == 2
    others = (TOOL.torchvision_v2(views, images)(), TOOL.ours(views, images)())
    for made in (second, *others):
        assert [view.shape for view in first] == [view.shape for view in made]


def test_all_recipes_have_a_torchvision_form() -> None:
    for path in ("unmix/mocov2_r50_in1k.py", "unmix/swav_r50_in1k.py"):
        views = TOOL.multi_view(Config.fromfile(ROOT / "configs" / path))
        chains = [[TOOL._torchvision_step(step) for step in steps] for steps in TOOL._chains(views)]
        assert len(chains) in (2, 8)
    byol = {"type": "Solarize", "thr": 128, "prob": 0.2}
    assert TOOL._torchvision_step(byol).threshold == 128


def test_rates_and_ratios_by_hand() -> None:
    seconds = {"a": [1.0, 2.0, 1.0], "b": [0.5, 0.5, 0.25]}
    figures = TOOL.report(seconds, images=10, base="a")
    assert figures["a"]["images_per_second"]["median"] == 10
    assert figures["b"]["ratio"] == {"median": 4.0, "quartiles": [3.0, 4.0]}


def test_ways_take_turns() -> None:
    calls: list[str] = []
    ways = {name: (lambda name=name: calls.append(name)) for name in "ab"}
    seconds = TOOL.measure(ways, rounds=3)
    assert calls == [*"ab", *"ab", *"ba", *"ab"]
    assert {len(spent) for spent in seconds.values()} == {3}


def test_it_writes_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = str(ROOT / "configs/unmix/moco_r18_cifar10.py")
    arguments = ["--batch-size", "4", "--rounds", "2", "--json", str(tmp_path / "out.json")]
    monkeypatch.setattr(sys, "argv", ["pipeline.py", config, *arguments])
    threads = torch.get_num_threads()
    try:
        TOOL.main()
    finally:
        torch.set_num_threads(threads)
    figures = json.loads((tmp_path / "out.json").read_text())
    assert figures["ways"].keys() >= {"mmpretrain", "torchvision", "mixssl"}
    assert figures["ways"]["mmpretrain"]["ratio"]["median"] == 1.0
