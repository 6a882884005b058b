"""Own per-image transforms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mixssl.datasets import GaussianNoise, KeepDifficult


def noisy(std: float | tuple[float, float], image: np.ndarray, seed: int = 0) -> np.ndarray:
    torch.manual_seed(seed)
    return GaussianNoise(std)({"img": image})["img"]


def test_noise_has_the_asked_spread_and_leaves_its_input() -> None:
    image = np.full((64, 64, 3), 128, dtype=np.uint8)
    out = noisy(10.0, image)
    assert out.dtype == np.uint8
    assert (image == 128).all()
    assert out.mean() == pytest.approx(128, abs=0.5)
    assert out.std() == pytest.approx(10, rel=0.05)
    assert np.array_equal(out, noisy(10.0, image))
    assert not np.array_equal(out, noisy(10.0, image, seed=1))


def test_zero_noise_is_the_image_and_range_is_kept() -> None:
    image = np.tile(np.array([0, 255], dtype=np.uint8)[:, None, None], (4, 8, 3))
    assert np.array_equal(noisy(0.0, image), image)
    loud = noisy(40.0, image)
    # Wrapped instead of clipped values would land at the other end.
    assert loud[image == 0].max() < 250
    assert loud[image == 255].min() > 5


def test_pair_draws_one_spread_per_image() -> None:
    image = np.full((64, 64, 3), 128, dtype=np.uint8)
    torch.manual_seed(0)
    transform = GaussianNoise((0.0, 20.0))
    spreads = [transform({"img": image})["img"].std() for _ in range(40)]
    assert min(spreads) < 5 and max(spreads) > 15
    assert max(spreads) < 21


@pytest.mark.parametrize("std", [-1.0, (3.0, 1.0)])
def test_bad_std_is_named(std: float | tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="GaussianNoise: std is"):
        GaussianNoise(std)


def test_difficult_objects_are_kept_in_copies() -> None:
    given = [{"bbox": [0, 0, 4, 4], "ignore_flag": 1}, {"bbox": [1, 1, 2, 2], "ignore_flag": 0}]
    results = {"instances": given, "img_id": "1"}
    found = KeepDifficult().transform(results)
    assert [instance["ignore_flag"] for instance in found["instances"]] == [0, 0]
    assert [instance["bbox"] for instance in found["instances"]] == [[0, 0, 4, 4], [1, 1, 2, 2]]
    assert found["img_id"] == "1"
    assert given[0]["ignore_flag"] == 1 and results["instances"] is given
