"""STL-10 on made-up files in the published format."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmpretrain.utils import register_all_modules

from mixssl.datasets import STL10
from mixssl.utils.errors import ConfigError

register_all_modules(init_default_scope=True)


@pytest.fixture
def pixels() -> dict[str, np.ndarray]:
    """RGB images (N, 96, 96, 3) of each part."""
    rng = np.random.default_rng(0)
    return {
        part: rng.integers(0, 256, (number, 96, 96, 3), dtype=np.uint8)
        for part, number in (("train", 3), ("test", 2), ("unlabeled", 4))
    }


@pytest.fixture
def root(tmp_path: Path, pixels: dict[str, np.ndarray]) -> Path:
    """The published layout: planes of colour, written column by column; labels from 1."""
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    for part, images in pixels.items():
        with open(folder / f"{part}_X.bin", "wb") as file:
            for image in images:
                for channel in range(3):
                    for column in range(96):
                        file.write(image[:, column, channel].tobytes())
    (folder / "train_y.bin").write_bytes(bytes([1, 10, 4]))
    (folder / "test_y.bin").write_bytes(bytes([2, 7]))
    return tmp_path


@pytest.mark.parametrize(("split", "labels"), [("train", [0, 9, 3]), ("test", [1, 6])])
def test_labelled_images(
    root: Path, pixels: dict[str, np.ndarray], split: str, labels: list[int]
) -> None:
    dataset = STL10(str(root), split)
    assert dataset.get_gt_labels().tolist() == labels
    assert dataset.CLASSES[labels[0]] == ("airplane" if split == "train" else "bird")
    for i, rgb in enumerate(pixels[split]):
        sample = dataset[i]
        assert np.array_equal(sample["img"], rgb[..., ::-1])
        assert sample["img"].dtype == np.uint8 and sample["img"].flags["C_CONTIGUOUS"]
        assert sample["img_shape"] == sample["ori_shape"] == (96, 96) and sample["sample_idx"] == i


def test_unlabelled_images_follow_the_labelled_ones(
    root: Path, pixels: dict[str, np.ndarray]
) -> None:
    dataset = STL10(str(root), "train+unlabeled")
    assert len(dataset) == 7 and len(STL10(str(root), "unlabeled")) == 4
    assert np.array_equal(dataset[3]["img"], pixels["unlabeled"][0][..., ::-1])
    assert dataset[2]["gt_label"] == 3 and "gt_label" not in dataset[3]
    assert len(STL10(str(root), "train+unlabeled", indices=2)) == 2


def test_the_files_may_lie_in_the_root_itself(root: Path) -> None:
    assert len(STL10(str(root / "stl10_binary"), "test")) == 2


def test_a_worker_gets_no_pixels_but_maps_the_file_itself(root: Path) -> None:
    dataset = STL10(str(root), "unlabeled")
    content = pickle.dumps(dataset)
    assert len(content) < 4 * 96 * 96
    for other in (pickle.loads(content), copy.deepcopy(dataset)):
        assert np.array_equal(other[1]["img"], dataset[1]["img"])


def test_a_sample_can_be_changed_and_the_file_stays(root: Path) -> None:
    dataset = STL10(str(root), "train")
    before = dataset[0]["img"].copy()
    dataset[0]["img"][:] = 0
    assert np.array_equal(dataset[0]["img"], before)


@pytest.mark.parametrize(("split", "views"), [("train+unlabeled", 2), ("test", None)])
def test_the_config_makes_views_of_64_pixels(
    root: Path, monkeypatch: pytest.MonkeyPatch, split: str, views: int | None
) -> None:
    monkeypatch.setenv("STL10_ROOT", str(root))
    config = Config.fromfile("configs/_base_/datasets/stl10.py")
    options = dict((config.train_dataloader if views else config.knn_query).dataset)
    assert options.pop("type") == "mixssl.STL10" and options["split"] == split
    inputs = STL10(**options)[0]["inputs"]
    assert [tuple(view.shape) for view in (inputs if views else [inputs])] == [(3, 64, 64)] * (
        views or 1
    )
    assert config.data_preprocessor.to_rgb


class TestBadInput:
    def test_missing_files(self, root: Path) -> None:
        (root / "stl10_binary" / "unlabeled_X.bin").unlink()
        assert len(STL10(str(root), "train")) == 3
        with pytest.raises(ConfigError, match="unlabeled_X.bin' is missing") as error:
            STL10(str(root), "train+unlabeled")
        assert "\n" not in str(error.value) and "set data_root" in str(error.value)

    def test_a_file_that_is_cut_off(self, root: Path) -> None:
        path = root / "stl10_binary" / "test_X.bin"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(ConfigError, match="it is cut off"):
            STL10(str(root), "test")

    @pytest.mark.parametrize("labels", [[1], [0, 1], [1, 11]])
    def test_labels_that_do_not_fit(self, root: Path, labels: list[int]) -> None:
        (root / "stl10_binary" / "test_y.bin").write_bytes(bytes(labels))
        with pytest.raises(ConfigError, match="labels from 1 to 10"):
            STL10(str(root), "test")
