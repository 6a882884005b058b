"""What images are called."""

from __future__ import annotations

import pytest
import torch
from mmpretrain.structures import DataSample

from mixssl.utils.image_names import image_name, listed, not_finite

NAN, INF = float("nan"), float("inf")


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
