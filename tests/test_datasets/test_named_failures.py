"""Files that can't be read and images that don't fit are named, also from a data worker and by InMemory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.dataset import ConcatDataset
from mmengine.runner import Runner
from mmpretrain.datasets import CustomDataset
from mmpretrain.structures import DataSample
from PIL import Image
from support.first_config import write_images

from mixssl.datasets import InMemory
from mixssl.datasets.named_failures import image_name, listed, name_failures, not_finite
from mixssl.utils.errors import ConfigError

NAN, INF = float("nan"), float("inf")
PIPELINE = [{"type": "mmpretrain.LoadImageFromFile"}, {"type": "mmpretrain.PackInputs"}]


def _dataset(folder: Path) -> CustomDataset:
    return CustomDataset(data_root=str(folder), with_label=False, pipeline=PIPELINE)


def _loader(dataset: Any) -> Any:
    loader = Runner.build_dataloader(
        {
            "dataset": dataset,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "batch_size": 4,
            "num_workers": 0,
            "collate_fn": {"type": "default_collate"},
        }
    )
    for _ in range(2):
        name_failures(loader)
    return loader


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("content", [b"", b"not an image"])
def test_a_file_that_is_no_image_is_named(tmp_path: Path, content: bytes, wrapped: bool) -> None:
    write_images(tmp_path, 4)
    (tmp_path / "2.png").write_bytes(content)
    dataset = _dataset(tmp_path)
    loader = _loader(ConcatDataset([dataset]) if wrapped else dataset)
    with pytest.raises(ConfigError, match=r"2.png can't be read as an image.*: mend this file"):
        next(iter(loader))
    with pytest.raises(ConfigError, match=r"2.png can't be read as an image"):
        InMemory(_dataset(tmp_path))


def test_images_of_another_size_are_named(tmp_path: Path) -> None:
    write_images(tmp_path, 4)
    Image.new("RGB", (20, 30)).save(tmp_path / "2.png")
    line = r"0.png 40x40, but .*/2.png 30x20: resize and crop them to one size in the pipeline"
    with pytest.raises(ConfigError, match=line):
        next(iter(_loader(_dataset(tmp_path))))


def test_what_else_fails_in_a_batch_is_not_hidden(tmp_path: Path) -> None:
    def collate(samples: list) -> None:
        raise RuntimeError("something else")

    loader = _loader(_dataset(write_images(tmp_path, 4)))
    assert len(next(iter(loader))["inputs"]) == 4
    loader.collate_fn = collate
    name_failures(loader)
    with pytest.raises(RuntimeError, match="something else"):
        next(iter(loader))


@pytest.mark.parametrize(
    ("sample", "name"),
    [
        ({"img_path": "a.png", "sample_idx": 3}, "a.png"),
        (DataSample(metainfo={"img_path": "b.png"}), "b.png"),
        (DataSample(metainfo={"sample_idx": 0}), "image 0 of the data set"),
        (DataSample(), "the third"),
        (None, "the third"),
    ],
)
def test_an_image_is_called_by_what_is_known(sample: object, name: str) -> None:
    assert image_name(sample, "the third") == name


def test_a_long_list_is_cut() -> None:
    assert listed(list("abc")) == "a, b, c"
    assert listed(list("abcde")) == "a, b, c and 2 more"


def _images(value: float, row: int) -> torch.Tensor:
    images = torch.zeros(3, 3, 2, 2)
    images[row, 1, 0, 1] = value
    return images


def test_rows_that_are_no_numbers_are_named() -> None:
    samples = [DataSample(metainfo={"img_path": f"{name}.png"}) for name in "abc"]
    views = [_images(NAN, 2), _images(-INF, 0)]
    assert not_finite({"inputs": views, "data_samples": samples}) == ["a.png", "c.png"]
    assert not_finite({"inputs": views[0]}) == ["row 2 of the batch"]
    unstacked = list(_images(NAN, 1))
    assert not_finite({"inputs": unstacked, "data_samples": samples}) == ["b.png"]
    assert not_finite({"inputs": _images(5.0, 1)}) == []
    assert not_finite({"inputs": _images(1.0, 1).byte()}) == []
    assert not_finite(views[0]) == not_finite({"inputs": None}) == []
