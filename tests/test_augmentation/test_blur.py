"""Gaussian blur: torchvision's, image by image."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torchvision.transforms.v2 import functional as F

from mixssl.augmentation import GaussianBlur
from mixssl.augmentation.blur import BlurPlan
from mixssl.utils.errors import ConfigError


def _images(height: int, width: int) -> torch.Tensor:
    return torch.rand(4, 3, height, width, generator=torch.Generator().manual_seed(0)) * 255


@pytest.mark.parametrize("size", [(32, 24), (17, 9), (40, 40)])
def test_blurs_are_torchvisions(size: tuple[int, int]) -> None:
    images = _images(*size)
    before = images.clone()
    blur = GaussianBlur(magnitude_range=(0.1, 2.0), magnitude_std="inf")
    sigma = [0.1, 0.7, 2.0]
    result = blur.apply(images, BlurPlan(torch.tensor([3, 0, 2]), torch.tensor(sigma).double()))
    kernel = [2 * min(8, side - 1) + 1 for side in reversed(size)]  # width first
    for row, s in zip([3, 0, 2], sigma, strict=True):
        expected = F.gaussian_blur(images[row], kernel, [s, s])
        torch.testing.assert_close(result[row], expected, rtol=0, atol=2e-3)
    assert result[1].equal(images[1]) and images.equal(before)


def test_the_cut_off_tail_is_nothing_and_pillow_is_near() -> None:
    images = _images(64, 64).round()
    # Natural images are smooth: noise would show Pillow's approximation at its worst.
    images = F.gaussian_blur(images, [9, 9], [2.0, 2.0]).round()
    blur = GaussianBlur(radius=1.5)
    result = blur.apply(images, blur.plan(torch.zeros(4, 2, dtype=torch.float64), (64, 64)))
    wide = F.gaussian_blur(images, [41, 41], [1.5, 1.5])
    assert (result - wide).abs().max() < 0.05
    for image, ours in zip(images, result, strict=True):
        pillow = Image.fromarray(image.byte().permute(1, 2, 0).numpy()).filter(
            ImageFilter.GaussianBlur(1.5)
        )
        theirs = torch.from_numpy(np.array(pillow)).permute(2, 0, 1).float()
        assert (ours - theirs)[:, 8:-8, 8:-8].abs().max() < 2.5


def test_sigma_and_choice_are_uniform() -> None:
    blur = GaussianBlur(magnitude_range=(0.1, 2.0), magnitude_std="inf", prob=0.3)
    numbers = torch.rand(10_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plan = blur.plan(numbers, (32, 32))
    assert abs(len(plan.rows) / 10_000 - 0.3) < 5 * (0.21 / 10_000) ** 0.5
    assert plan.sigma.min() >= 0.1 and plan.sigma.max() <= 2.0
    assert abs(plan.sigma.mean() - 1.05) < 5 * 1.9 / 12**0.5 / len(plan.sigma) ** 0.5
    assert plan.sigma.quantile(0.25).item() == pytest.approx(0.1 + 1.9 / 4, abs=0.06)


def test_nothing_to_blur_is_the_image() -> None:
    images = _images(8, 8)
    never = GaussianBlur(radius=1.0, prob=0.0)
    assert never.apply(images, never.plan(torch.rand(4, 2).double(), (8, 8))) is images
    none = GaussianBlur(radius=0.0, prob=1.0)
    assert none.apply(images, none.plan(torch.rand(4, 2).double(), (8, 8))) is images


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "one of them"),
        ({"radius": 1.0, "magnitude_range": (0.1, 2.0)}, "one of them"),
        ({"magnitude_range": (2.0, 0.1)}, "smaller first"),
        ({"magnitude_range": (0.1, 2.0), "magnitude_std": 0.5}, "'inf' or 0"),
    ],
)
def test_blurs_that_can_not_be_are_refused(arguments: dict, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        GaussianBlur(**arguments)
