"""tools/convert/image_folders.py keeps every image, and other readers find what it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mmpretrain.datasets import CustomDataset
from mmpretrain.utils import register_all_modules
from support.tools import call_tool

from mixssl.datasets import STL10, TinyImageNet

register_all_modules(init_default_scope=True)


@pytest.fixture
def stl10(tmp_path: Path) -> Path:
    """Two training images and one unlabelled."""
    root = tmp_path / "stl10"
    root.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, 3 * 3 * 96 * 96, dtype=np.uint8)
    (root / "train_X.bin").write_bytes(pixels[: 2 * 3 * 96 * 96].tobytes())
    (root / "train_y.bin").write_bytes(bytes([3, 1]))
    (root / "unlabeled_X.bin").write_bytes(pixels[2 * 3 * 96 * 96 :].tobytes())
    return root


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Two classes with an image each to validate on; the converter copies files without a look into them."""
    root = tmp_path / "tiny"
    (root / "val" / "images").mkdir(parents=True)
    (root / "wnids.txt").write_text("n2\nn1\n")
    (root / "words.txt").write_text("n1\tone thing\nn2\tone thing\n")
    (root / "val" / "val_annotations.txt").write_text("a.JPEG\tn2\t0\nb.JPEG\tn1\t0\n")
    for name in "ab":
        (root / "val" / "images" / f"{name}.JPEG").write_bytes(name.encode())
    return root


def test_pixels_become_files_that_keep_them(
    stl10: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ("stl10", stl10, out, "--split", "train", "unlabeled")
    assert call_tool("convert/image_folders", *arguments) == 0
    assert f"2 images in {out / 'train'}" in capsys.readouterr().out
    written = {path.relative_to(out).as_posix() for path in out.rglob("*.png")}
    assert written == {
        "train/airplane/000001.png",
        "train/car/000000.png",
        "unlabeled/unlabeled/000000.png",
    }
    read = CustomDataset(data_root=str(out / "train"), pipeline=[dict(type="LoadImageFromFile")])
    assert read.CLASSES == ("airplane", "car")
    dataset = STL10(str(stl10))
    assert np.array_equal(read[0]["img"], dataset[1]["img"])
    assert np.array_equal(read[1]["img"], dataset[0]["img"])


def test_files_are_copied_into_folders_of_their_wnids(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert call_tool("convert/image_folders", "tiny_imagenet", tiny, out, "--split", "val") == 0
    assert (out / "val" / "n2" / "a.JPEG").read_bytes() == b"a"
    assert (out / "val" / "n1" / "b.JPEG").read_bytes() == b"b"
    assert TinyImageNet(str(tiny), "val").metainfo["wnids"] == ("n1", "n2")


def test_nothing_is_overwritten_and_nothing_written_where_a_split_is_missing(
    stl10: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call_tool("convert/image_folders", "stl10", stl10, out, "--split", "train", "test") == 2
    assert not out.exists()
    (out / "train").mkdir(parents=True)
    assert call_tool("convert/image_folders", "stl10", stl10, out) == 2
    captured = capsys.readouterr()
    said = captured.out + captured.err
    assert "test_X.bin' is missing" in said and "exists already" in said
