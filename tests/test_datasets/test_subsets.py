"""Parts of data sets: balanced, seeded, or listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset

from mixssl.datasets import Digits, class_balanced_subset, class_slice, listed_subset
from mixssl.registry import DATASETS
from mixssl.utils.errors import ConfigError


def test_every_class_gives_its_share() -> None:
    whole = Digits()
    part = class_balanced_subset(whole, 0.1)
    counts = np.bincount(whole.get_gt_labels())
    assert np.bincount(part.get_gt_labels()).tolist() == [round(0.1 * n) for n in counts]
    assert part.metainfo["classes"] == whole.metainfo["classes"]
    assert len(whole) == 1297
    images = {whole.get_data_info(i)["img"].tobytes() for i in range(len(whole))}
    own = [part.get_data_info(i)["img"].tobytes() for i in range(len(part))]
    assert set(own) <= images and len(set(own)) == len(own)


def test_the_seed_is_the_draw() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()

    def images(seed: int) -> list[bytes]:
        part = class_balanced_subset({"type": "mixssl.Digits"}, 0.02, seed)
        return [part.get_data_info(i)["img"].tobytes() for i in range(len(part))]

    assert images(1) == images(1)
    assert images(1) != images(2)
    assert torch.get_rng_state().equal(before)


def test_a_class_keeps_at_least_one_image_and_all_can_be_taken() -> None:
    few = class_balanced_subset(Digits(), 1e-6)
    assert sorted(few.get_gt_labels()) == list(range(10))
    assert len(class_balanced_subset(Digits(), 1.0)) == 1297


def test_it_builds_from_a_config_and_runs_its_pipeline() -> None:
    inner = {"type": "mixssl.Digits", "pipeline": [{"type": "mmpretrain.PackInputs"}]}
    part = DATASETS.build(
        {"type": "mixssl.ClassBalancedSubset", "dataset": inner, "fraction": 0.05}
    )
    assert part[0]["inputs"].shape == (3, 16, 16)
    assert part[0]["data_samples"].gt_label.numel() == 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("cat/a.png", "cat/b.png", "dog/c.png", "dog/d.png"):
        mmcv.imwrite(np.zeros((4, 4, 3), np.uint8), str(tmp_path / "images" / name))
    return tmp_path


def listed(folder: Path, text: str) -> BaseDataset:
    (folder / "list.txt").write_text(text)
    inner: dict[str, Any] = {  # as inherited from mmpretrain's configs
        "type": "CustomDataset",
        "_scope_": "mmpretrain",
        "data_root": str(folder / "images"),
    }
    return listed_subset(inner, str(folder / "list.txt"))


@pytest.mark.parametrize("text", ["d.png\na.png\n", "dog/d.png 1\n\nelsewhere/a.png 0"])
def test_listed_images_alone_are_there(folder: Path, text: str) -> None:
    part = listed(folder, text)
    found = [part.get_data_info(i) for i in range(len(part))]
    assert [(Path(info["img_path"]).name, info["gt_label"]) for info in found] == [
        ("a.png", 0),
        ("d.png", 1),
    ]


class TestBadInput:
    @pytest.mark.parametrize("fraction", [0.0, -0.1, 1.1])
    def test_fraction(self, fraction: float) -> None:
        with pytest.raises(ConfigError, match="above 0 and at most 1"):
            class_balanced_subset(Digits(), fraction)

    def test_images_without_labels(self, folder: Path) -> None:
        inner = {
            "type": "mmpretrain.CustomDataset",
            "data_root": str(folder / "images"),
            "with_label": False,
        }
        with pytest.raises(ConfigError, match="has no label"):
            class_balanced_subset(inner, 0.5)

    @pytest.mark.parametrize(
        ("text", "named"), [("x.png\na.png", "names 'x.png' [(]1 such"), ("\n", "is empty")]
    )
    def test_lists_of_other_images(self, folder: Path, text: str, named: str) -> None:
        with pytest.raises(ConfigError, match=named):
            listed(folder, text)

    def test_no_list(self, folder: Path) -> None:
        with pytest.raises(ConfigError, match="there is no list"):
            listed_subset({"type": "mixssl.Digits"}, str(folder / "none.txt"))


def test_a_slice_of_every_class() -> None:
    whole = Digits()
    labels = whole.get_gt_labels()
    few, more, last = (
        class_slice({"type": "mixssl.Digits"}, start, stop)
        for start, stop in ((None, 3), (None, 5), (-2, None))
    )
    assert np.bincount(few.get_gt_labels()).tolist() == [3] * 10
    assert np.bincount(last.get_gt_labels()).tolist() == [2] * 10

    def images(part: BaseDataset) -> set[bytes]:
        return {part.get_data_info(i)["img"].tobytes() for i in range(len(part))}

    first = [np.flatnonzero(labels == label)[0] for label in range(10)]
    assert {whole.get_data_info(int(i))["img"].tobytes() for i in first} <= images(few)
    assert images(few) < images(more) and not images(more) & images(last)


def test_a_slice_that_leaves_nothing() -> None:
    with pytest.raises(ConfigError, match=r"\[1000:None\] leaves no image of class 0, which has"):
        class_slice(Digits(), 1000)
