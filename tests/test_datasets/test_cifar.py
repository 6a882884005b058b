"""Both forms of CIFAR on made-up files: the same pixels, the right channels, clear errors."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile, RandomGrayscale
from mmengine.config import Config
from mmpretrain import datasets as upstream
from mmpretrain.datasets.transforms import ColorJitter
from mmpretrain.utils import register_all_modules

from mixssl.datasets import CIFAR10, CIFAR100
from mixssl.utils.errors import ConfigError

register_all_modules(init_default_scope=True)

CLASSES = CIFAR10.METAINFO["classes"]


@pytest.fixture
def pixels() -> np.ndarray:
    """RGB images (12, 32, 32, 3); image i has the label i % 10."""
    return np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def binary_root(tmp_path: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published layout with ten images to train on and two to test on, under checksums of its own."""
    root = tmp_path / "binary"
    folder = root / CIFAR10.base_folder
    folder.mkdir(parents=True)
    names = [entry[0] for entry in (*upstream.CIFAR10.train_list, *upstream.CIFAR10.test_list)]
    entries = []
    for i, name in enumerate(names):
        rows = slice(2 * i, 2 * i + 2)
        data = pixels[rows].transpose(0, 3, 1, 2).reshape(2, -1)
        labels = [2 * i % 10, (2 * i + 1) % 10]
        content = pickle.dumps({"data": data, "labels": labels})
        (folder / name).write_bytes(content)
        entries.append([name, hashlib.md5(content).hexdigest()])
    monkeypatch.setattr(CIFAR10, "train_list", entries[:-1])
    monkeypatch.setattr(CIFAR10, "test_list", entries[-1:])
    return root


@pytest.fixture
def folder_root(tmp_path: Path, pixels: np.ndarray) -> Path:
    """The same images as PNG files, which keep every pixel."""
    root = tmp_path / "folder"
    for i, rgb in enumerate(pixels):
        path = root / ("train" if i < 10 else "test") / CLASSES[i % 10] / f"{i:04d}.png"
        assert mmcv.imwrite(rgb[..., ::-1], str(path))
    return root


@pytest.mark.parametrize("split", ["train", "test"])
def test_both_forms_give_the_same_bgr_pixels(
    binary_root: Path, folder_root: Path, pixels: np.ndarray, split: str
) -> None:
    binary, folder = CIFAR10(str(binary_root), split), CIFAR10(str(folder_root), split)
    assert (binary.form, folder.form) == ("binary", "folder")
    first = 0 if split == "train" else 10
    expected = pixels[first : first + len(binary), ..., ::-1]
    assert len(binary) == len(folder) == (10 if split == "train" else 2)
    for i, image in enumerate(expected):
        for sample in (binary[i], folder[i]):
            assert np.array_equal(sample["img"], image)
            assert sample["img"].dtype == np.uint8
            assert sample["gt_label"] == i % 10
            assert tuple(sample["img_shape"]) == tuple(sample["ori_shape"]) == (32, 32)
            assert sample["sample_idx"] == i


def test_a_loading_step_fits_both_forms(binary_root: Path, folder_root: Path) -> None:
    pipeline = [dict(type="LoadImageFromFile"), dict(type="PackInputs")]
    packed = [CIFAR10(str(root), pipeline=pipeline)[3] for root in (binary_root, folder_root)]
    assert packed[0]["inputs"].equal(packed[1]["inputs"])
    steps = CIFAR10(str(folder_root), pipeline=pipeline).pipeline.transforms
    assert sum(isinstance(step, LoadImageFromFile) for step in steps) == 1


def test_a_lazy_data_set_reads_when_asked(folder_root: Path) -> None:
    dataset = CIFAR10(str(folder_root), lazy_init=True)
    assert dataset.form is None
    assert dataset[0]["img"].shape == (32, 32, 3)


def test_gray_and_hue_see_blue_first(binary_root: Path) -> None:
    dataset = CIFAR10(str(binary_root))
    sample = dataset[0]
    blue, green, red = sample["img"].astype(float).transpose(2, 0, 1)
    gray = RandomGrayscale(1.0, keep_channels=True, channel_weights=(0.114, 0.587, 0.2989))
    weighted = (0.114 * blue + 0.587 * green + 0.2989 * red) / (0.114 + 0.587 + 0.2989)
    assert np.abs(gray({"img": sample["img"].copy()})["img"][..., 0] - weighted).max() <= 1
    # A pure red turned by a third of the circle is pure green, whichever order the array has.
    red_image = np.zeros((4, 4, 3), dtype=np.uint8)
    red_image[..., 2] = 255
    jitter = ColorJitter(hue=[1 / 3, 1 / 3], backend="cv2")
    assert jitter({"img": red_image})["img"][0, 0].tolist() == pytest.approx([0, 255, 0], abs=4)


def test_form_can_be_forced(binary_root: Path, folder_root: Path) -> None:
    both = binary_root
    (folder_root / "train").rename(both / "train")
    assert CIFAR10(str(both)).form == "binary"
    assert CIFAR10(str(both), form="folder").form == "folder"


def test_the_first_images_of_folders_are_of_all_classes(tmp_path: Path) -> None:
    for name, number in (("frog", 3), ("cat", 5), ("bird", 1)):
        for i in range(number):
            pixels = np.full((32, 32, 3), i, dtype=np.uint8)
            assert mmcv.imwrite(pixels, str(tmp_path / "train" / name / f"{i}.png"))
    dataset = CIFAR10(str(tmp_path))
    assert dataset.get_gt_labels().tolist() == [2, 3, 6, 3, 6, 3, 6, 3, 3]
    assert [int(dataset[i]["img"][0, 0, 0]) for i in range(9)] == [0, 0, 0, 1, 1, 2, 2, 3, 4]
    assert CIFAR10(str(tmp_path), indices=3).get_gt_labels().tolist() == [2, 3, 6]


def test_part_of_the_classes_keeps_their_numbers(folder_root: Path) -> None:
    for name in CLASSES[:7]:
        for path in (folder_root / "train" / name).iterdir():
            path.unlink()
        (folder_root / "train" / name).rmdir()
    assert CIFAR10(str(folder_root)).get_gt_labels().tolist() == [7, 8, 9]


def test_cifar100_reads_fine_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / CIFAR100.base_folder
    folder.mkdir()
    data = np.arange(3072, dtype=np.uint16).astype(np.uint8)[None]
    for name in ("train", "test"):
        (folder / name).write_bytes(pickle.dumps({"data": data, "fine_labels": [42]}))
    monkeypatch.setattr(CIFAR100, "train_list", [["train", None]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", None]])
    sample = CIFAR100(str(tmp_path))[0]
    assert sample["gt_label"] == 42
    # The last channel handed out is the file's first plane, red.
    assert np.array_equal(sample["img"][..., 2].ravel(), data[0, :1024])


class TestBadInput:
    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="download=True") as error:
            CIFAR10(str(tmp_path / "absent"))
        message = str(error.value)
        assert "\n" not in message
        assert (
            "absent" in message and "cifar-10-batches-py" in message and "train/<class>" in message
        )

    def test_damaged_file(self, binary_root: Path) -> None:
        (binary_root / CIFAR10.base_folder / "test_batch").write_bytes(b"cut off")
        with pytest.raises(ConfigError, match="incomplete or damaged"):
            CIFAR10(str(binary_root))

    def test_forced_form_that_is_not_there(self, binary_root: Path, folder_root: Path) -> None:
        with pytest.raises(ConfigError, match="no such image folder"):
            CIFAR10(str(binary_root), form="folder")
        with pytest.raises(ConfigError, match="no data of the binary form"):
            CIFAR10(str(folder_root), form="binary")

    def test_folder_that_is_no_class(self, folder_root: Path) -> None:
        (folder_root / "train" / "unicorn").mkdir()
        with pytest.raises(ValueError, match="'unicorn', which is no class"):
            CIFAR10(str(folder_root))

    def test_no_image_in_the_folders(self, tmp_path: Path) -> None:
        (tmp_path / "train" / "cat").mkdir(parents=True)
        with pytest.raises(ConfigError, match="no image in the class folders"):
            CIFAR10(str(tmp_path))

    @pytest.mark.parametrize(
        ("kwargs", "named"),
        [
            ({"form": "zip"}, "form is 'zip'"),
            ({"form": "folder", "download": True}, "only the binary form"),
        ],
    )
    def test_arguments(self, kwargs: dict[str, Any], named: str) -> None:
        with pytest.raises(ValueError, match=named):
            CIFAR10(**{"data_root": "somewhere", **kwargs})


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_configs_point_every_loader_at_one_root(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{name.upper()}_ROOT", "/elsewhere")
    config = Config.fromfile(f"configs/_base_/datasets/{name}.py")
    for loader in (config.train_dataloader, config.knn_bank, config.knn_query):
        assert loader.dataset.type == f"mixssl.{name.upper()}"
        assert loader.dataset.data_root == "/elsewhere"
        assert loader.collate_fn == dict(type="default_collate")
    assert config.data_preprocessor.to_rgb
    assert config.train_dataloader.batch_size == 512


def test_config_turns_a_folder_into_two_views(
    folder_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR10_ROOT", str(folder_root))
    config = Config.fromfile("configs/_base_/datasets/cifar10.py")
    options = dict(config.train_dataloader.dataset)
    options.pop("type")
    views = CIFAR10(**options)[0]["inputs"]
    assert [tuple(view.shape) for view in views] == [(3, 32, 32)] * 2
    assert not views[0].equal(views[1])


@pytest.mark.parametrize("data", ["cifar10", "cifar100"])
def test_the_former_name_of_a_config_says_the_new_one(data: str) -> None:
    folder = "configs/_base_/datasets"
    with pytest.warns(FutureWarning, match=f"{data}_mild.py is called {data}_wmse.py now"):
        former = Config.fromfile(f"{folder}/{data}_mild.py")
    assert former.to_dict() == Config.fromfile(f"{folder}/{data}_wmse.py").to_dict()
