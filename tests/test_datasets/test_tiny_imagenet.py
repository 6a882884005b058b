"""Tiny ImageNet on made-up files in the published layout."""

from __future__ import annotations

from pathlib import Path

import mmcv
import numpy as np
import pytest
from mmengine.config import Config
from mmpretrain.utils import register_all_modules

from mixssl.datasets import TinyImageNet
from mixssl.utils.errors import ConfigError

register_all_modules(init_default_scope=True)

WNIDS = ["n03", "n01", "n02"]
"""As in wnids.txt, whose order is not the sorted one."""


def _write(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert mmcv.imwrite(np.full((64, 64, 3), level, dtype=np.uint8), str(path))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two training images per class, three to validate on, one to test on."""
    top = tmp_path / "tiny-imagenet-200"
    for number, wnid in enumerate(WNIDS):
        for i in range(2):
            _write(top / "train" / wnid / "images" / f"{wnid}_{i}.JPEG", 40 * number + 20 * i)
        (top / "train" / wnid / f"{wnid}_boxes.txt").write_text("")
    (top / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    (top / "words.txt").write_text("n01\tgoldfish, Carassius auratus\nn02\tbullfrog\nn99\tother\n")
    lines = []
    for i, wnid in enumerate(("n02", "n03", "n01")):
        _write(top / "val" / "images" / f"val_{i}.JPEG", 60 * i)
        lines.append(f"val_{i}.JPEG\t{wnid}\t0\t32\t44\t62")
    (top / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    _write(top / "test" / "images" / "test_0.JPEG", 7)
    return tmp_path


def test_training_images_by_turns_with_labels_of_sorted_wnids(root: Path) -> None:
    dataset = TinyImageNet(str(root))
    assert dataset.get_gt_labels().tolist() == [0, 1, 2, 0, 1, 2]
    assert dataset.CLASSES == ("goldfish", "bullfrog", "n03")
    names = [Path(dataset.get_data_info(i)["img_path"]).name for i in range(6)]
    assert names == [f"{wnid}_{i}.JPEG" for i in range(2) for wnid in sorted(WNIDS)]
    assert TinyImageNet(str(root), indices=3).get_gt_labels().tolist() == [0, 1, 2]


def test_validation_images_take_their_labels_from_the_list(root: Path) -> None:
    dataset = TinyImageNet(str(root), "val", pipeline=[dict(type="LoadImageFromFile")])
    assert dataset.get_gt_labels().tolist() == [1, 2, 0]
    assert [int(dataset[i]["img"].mean().round()) for i in range(3)] == [0, 60, 120]
    assert dataset[0]["img"].shape == (64, 64, 3)


def test_the_test_split_has_no_labels(root: Path) -> None:
    dataset = TinyImageNet(str(root), "test")
    assert len(dataset) == 1 and "gt_label" not in dataset.get_data_info(0)


def test_the_content_may_lie_in_the_root_itself(root: Path) -> None:
    assert len(TinyImageNet(str(root / "tiny-imagenet-200"), "val")) == 3


@pytest.mark.parametrize(("name", "size"), [("tiny_imagenet", 64), ("tiny_imagenet_224px", 224)])
def test_the_configs_make_views(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, size: int
) -> None:
    monkeypatch.setenv("TINY_IMAGENET_ROOT", str(root))
    config = Config.fromfile(f"configs/_base_/datasets/{name}.py")
    train, query = dict(config.train_dataloader.dataset), dict(config.knn_query.dataset)
    assert train.pop("type") == query.pop("type") == "mixssl.TinyImageNet"
    views = TinyImageNet(**train)[0]["inputs"]
    assert [tuple(view.shape) for view in views] == [(3, size, size)] * 2
    assert tuple(TinyImageNet(**query)[0]["inputs"].shape) == (3, size, size)
    assert config.data_preprocessor.to_rgb


class TestBadInput:
    @pytest.mark.parametrize(
        ("split", "name"),
        [
            ("train", "wnids.txt"),
            ("train", "words.txt"),
            ("train", "train/n02/images"),
            ("val", "val/val_annotations.txt"),
            ("val", "val/images"),
            ("test", "test/images"),
        ],
    )
    def test_missing_files(self, root: Path, split: str, name: str) -> None:
        path = root / "tiny-imagenet-200" / name
        path.rename(path.with_name("elsewhere"))
        with pytest.raises(ConfigError, match=f"{name}' is missing") as error:
            TinyImageNet(str(root), split)
        assert "\n" not in str(error.value) and "set data_root" in str(error.value)

    def test_a_label_that_is_no_class(self, root: Path) -> None:
        path = root / "tiny-imagenet-200" / "val" / "val_annotations.txt"
        path.write_text("val_0.JPEG\tn77\t0\t0\t1\t1\n")
        with pytest.raises(ConfigError, match="n77"):
            TinyImageNet(str(root), "val")

    def test_no_image(self, root: Path) -> None:
        (root / "tiny-imagenet-200" / "test" / "images" / "test_0.JPEG").unlink()
        with pytest.raises(ConfigError, match="no image of 'test'"):
            TinyImageNet(str(root), "test")
