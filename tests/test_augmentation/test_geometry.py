"""Crops and flips: exact for given parameters, and drawn as torchvision draws them."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop as TorchvisionCrop
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from mixssl.augmentation import RandomFlip, RandomResizedCrop
from mixssl.augmentation.geometry import Boxes
from mixssl.utils.errors import ConfigError


def _images(number: int = 6, height: int = 32, width: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(number, 3, height, width, generator=generator) * 255


def _numbers(number: int, operation, seed: int = 0) -> torch.Tensor:  # type: ignore[no-untyped-def]
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(number, operation.numbers, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("interpolation", "backend", "mode", "antialias"),
    [
        ("bilinear", "cv2", InterpolationMode.BILINEAR, False),
        ("bilinear", "pillow", InterpolationMode.BILINEAR, True),
        ("bicubic", "pillow", InterpolationMode.BICUBIC, True),
    ],
)
@pytest.mark.parametrize("out", [(32, 32), (8, 40), (13, 5)])
def test_crops_are_torchvisions(interpolation, backend, mode, antialias, out) -> None:  # type: ignore[no-untyped-def]
    """Enlarged, shrunk and both, from the middle and from the edges."""
    images = _images(height=40, width=28)
    before = images.clone()
    crop = RandomResizedCrop(out, interpolation=interpolation, backend=backend)
    boxes = Boxes(
        *torch.tensor(
            [
                [0, 0, 40, 28],
                [0, 0, 1, 1],
                [39, 27, 1, 1],
                [3, 5, 17, 11],
                [20, 0, 20, 28],
                [9, 8, 8, 20],
            ]
        ).T
    )
    result = crop.apply(images, boxes)
    for i, box in enumerate(zip(*(part.tolist() for part in boxes), strict=True)):
        expected = F.resized_crop(images[i], *box, list(out), mode, antialias).clamp(0, 255)
        torch.testing.assert_close(result[i], expected, rtol=0, atol=2e-3)
    assert images.equal(before)


def test_a_pillow_crop_is_pillows_to_its_rounding() -> None:
    images = _images(1, 48, 48).round()
    boxes = Boxes(*(torch.tensor([n]) for n in (4, 7, 41, 30)))
    whole = Image.fromarray(images[0].byte().permute(1, 2, 0).numpy())
    for interpolation, mode in (("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)):
        ours = RandomResizedCrop(16, interpolation=interpolation, backend="pillow").apply(
            images, boxes
        )
        pillows = np.asarray(whole.crop((7, 4, 37, 45)).resize((16, 16), mode), dtype=np.float32)
        # Pillow rounds between height and width, and at the end.
        assert (ours[0].permute(1, 2, 0) - torch.from_numpy(pillows)).abs().max() <= 1.01


def test_a_crop_does_not_see_beyond_its_edge() -> None:
    images = torch.zeros(1, 3, 16, 16)
    images[..., 4:8, 4:8] = 100
    images[..., :4, :] = float("inf")  # a factor of 0 would make it NaN
    images = torch.where(images.isinf(), 1e6, images)
    boxes = Boxes(*(torch.tensor([n]) for n in (4, 4, 4, 4)))
    assert RandomResizedCrop(16).apply(images, boxes).allclose(torch.full((1, 3, 16, 16), 100.0))


def test_boxes_by_hand() -> None:
    """An area of a quarter and a square fit at once; of all attempts that don't fit, the central crop is left."""
    crop = RandomResizedCrop(4, (0.25, 0.25), (0.5, 2.0), max_attempts=2)
    middle = torch.tensor([[0.3, 0.5, 0.9, 0.9, 0.5, 0.999]], dtype=torch.float64)
    top, left, height, width = (int(part) for part in crop.plan(middle, (8, 16)))
    # Area 32, ratio exp(0) = 1: 5.66 rounds to 6; places 0.5 * 3 and 0.999 * 11.
    assert (top, left, height, width) == (1, 10, 6, 6)

    never = RandomResizedCrop(4, (1.0, 1.0), (1.0, 1.0), max_attempts=2)
    top, left, height, width = (int(part) for part in never.plan(middle, (8, 16)))
    assert (top, left, height, width) == (0, 4, 8, 8)
    tall = never.plan(middle, (16, 8))
    assert [int(part) for part in tall] == [4, 0, 8, 8]

    second = torch.tensor([[0.0, 0.999, 0.0, 0.5, 0.0, 0.0]], dtype=torch.float64)
    wide_first = RandomResizedCrop(4, (0.5, 0.5), (1.0, 4.0), max_attempts=2)
    top, left, height, width = (int(part) for part in wide_first.plan(second, (8, 8)))
    # Ratio 4 would be 11 wide; ratio 2 of the second attempt is 4 by 8.
    assert (top, left, height, width) == (0, 0, 4, 8)


@pytest.mark.parametrize("size", [(32, 32), (64, 48), (8, 40)])
def test_boxes_have_torchvisions_distribution(size: tuple[int, int]) -> None:
    """Means and deviations of place and size over many draws, to five standard errors."""
    number = 4000
    crop = RandomResizedCrop(32, (0.08, 1.0))
    ours = torch.stack(crop.plan(_numbers(number, crop), size), dim=1).double()
    image = torch.empty(3, *size)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = torch.tensor(
            [TorchvisionCrop.get_params(image, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(number)]
        ).double()
    for moment in (
        lambda x: x,
        lambda x: (x - theirs.mean(0)).square(),
        lambda x: x[:, :1] * x[:, 2:],
    ):
        a, b = moment(ours), moment(theirs)
        error = ((a.var(0) + b.var(0)) / number).sqrt()
        assert ((a.mean(0) - b.mean(0)).abs() <= 5 * error + 1e-9).all()
    assert (ours[:, 0] + ours[:, 2] <= size[0]).all() and (ours[:, 1] + ours[:, 3] <= size[1]).all()
    assert (ours[:, :2] >= 0).all() and (ours[:, 2:] >= 1).all()


def test_flips_are_exact_and_as_frequent_as_asked() -> None:
    images, flip = _images(), RandomFlip(0.5)
    chosen = torch.tensor([True, False, True, False, False, True])
    result = flip.apply(images, chosen.nonzero()[:, 0])
    assert result[chosen].equal(F.horizontal_flip(images[chosen]))
    assert result[~chosen].equal(images[~chosen])
    often = RandomFlip(0.3)
    share = len(often.plan(_numbers(10_000, often), (4, 4))) / 10_000
    assert abs(share - 0.3) < 5 * (0.3 * 0.7 / 10_000) ** 0.5


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"scale": 0}, "at least 1"),
        ({"scale": 8, "crop_ratio_range": (0.5, 0.2)}, "smaller first"),
        ({"scale": 8, "aspect_ratio_range": (0.0, 1.0)}, "above 0"),
        ({"scale": 8, "interpolation": "nearest"}, "'bilinear'"),
        ({"scale": 8, "interpolation": "bicubic"}, "'pillow'"),
    ],
)
def test_crops_that_can_not_be_are_refused(arguments: dict, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        RandomResizedCrop(**arguments)


def test_flips_that_can_not_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="horizontal"):
        RandomFlip(0.5, direction="vertical")
    with pytest.raises(ConfigError, match=r"\[0, 1\]"):
        RandomFlip(1.5)
