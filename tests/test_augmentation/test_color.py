"""Colours: exact for given parameters, and drawn as torchvision draws them."""

import itertools

import pytest
import torch
from torchvision.transforms import ColorJitter as TorchvisionJitter
from torchvision.transforms.v2 import functional as F

from mixssl.augmentation import ColorJitter, RandomGrayscale, Solarize
from mixssl.augmentation.color import jitter_plan
from mixssl.utils.errors import ConfigError

ORDERS = list(itertools.permutations(range(4)))
CHANGES = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)


def _images(number: int) -> torch.Tensor:
    """Noise, gray, black, white and one of each colour alone."""
    images = torch.rand(number, 3, 9, 7, generator=torch.Generator().manual_seed(0)) * 255
    images[0] = images[0, :1]
    images[1] = 0
    images[2] = 255
    images[3, 1:] = 0
    images[4, 0] = images[4, 2] = 0
    images[5, :2] = 0
    return images


def _factors(number: int) -> torch.Tensor:
    numbers = torch.rand(number, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return numbers * torch.tensor([2.0, 2.0, 2.0, 1.0]) - torch.tensor([0.0, 0.0, 0.0, 0.5])


def test_jitter_is_torchvisions_in_every_order() -> None:
    images, factors = _images(24), _factors(24)
    before = images.clone()
    result = ColorJitter(1, 1, 1, 0.5).apply(images, jitter_plan(factors, torch.tensor(ORDERS)))
    for i, order in enumerate(ORDERS):
        expected = images[i] / 255
        for change in order:
            expected = CHANGES[change](expected, float(factors[i, change]))
        torch.testing.assert_close(result[i] / 255, expected, rtol=0, atol=2e-5)
    assert images.equal(before)


@pytest.mark.parametrize("turn", [-0.5, -0.31, 0.0, 0.1, 0.5])
def test_hue_alone_is_torchvisions(turn: float) -> None:
    images = _images(12)
    factors = torch.tensor([[1.0, 1.0, 1.0, turn]], dtype=torch.float64).expand(12, 4)
    sequence = torch.tensor([[3, 0, 1, 2]]).expand(12, 4)
    result = ColorJitter(hue=0.5).apply(images, jitter_plan(factors, sequence))
    torch.testing.assert_close(result / 255, F.adjust_hue(images / 255, turn), rtol=0, atol=2e-5)


def test_a_third_of_a_circle_swaps_the_colours() -> None:
    images = _images(12)
    factors = torch.tensor([[1.0, 1.0, 1.0, 1 / 3]], dtype=torch.float64).expand(12, 4)
    result = ColorJitter(hue=0.5).apply(
        images, jitter_plan(factors, torch.tensor([[0, 3, 1, 2]]).expand(12, 4))
    )
    torch.testing.assert_close(result, images[:, [2, 0, 1]], rtol=0, atol=0.01)


def test_jitter_without_a_change_is_the_image() -> None:
    images, still = _images(12), ColorJitter()
    numbers = torch.rand(12, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert still.apply(images, still.plan(numbers, (9, 7))).equal(images)


def test_factors_and_orders_have_torchvisions_distribution() -> None:
    number = 6000
    jitter = ColorJitter(0.4, 0.4, 0.2, 0.1)
    numbers = torch.rand(number, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plan = jitter.plan(numbers, (4, 4))
    theirs = TorchvisionJitter(0.4, 0.4, 0.2, 0.1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = [
            theirs.get_params(theirs.brightness, theirs.contrast, theirs.saturation, theirs.hue)
            for _ in range(number)
        ]
    expected = torch.tensor([draw[1:] for draw in drawn], dtype=torch.float64)
    ours = plan.factors
    for a, b in ((ours, expected), (ours.square(), expected.square())):
        error = ((a.var(0) + b.var(0)) / number).sqrt()
        assert ((a.mean(0) - b.mean(0)).abs() <= 5 * error).all()
    assert torch.allclose(ours.amin(0), expected.amin(0), atol=2e-3)
    assert torch.allclose(ours.amax(0), expected.amax(0), atol=2e-3)

    # All 24 orders, equally often.
    places = torch.empty(number, 1, dtype=torch.long)
    for k in range(4):
        end = plan.starts[k + 1] if k < 3 else number
        places[plan.starts[k] : end] = k
    code = places[:, 0] * 27 + (plan.kinds * torch.tensor([9, 3, 1])).sum(1)
    counts = code.unique(return_counts=True)[1].double()
    assert len(counts) == 24
    assert ((counts - number / 24).abs() < 5 * (number / 24) ** 0.5).all()
    assert plan.order.sort().values.equal(torch.arange(number))


def test_gray_is_torchvisions_whatever_order_the_weights_come_in() -> None:
    images = _images(8)
    chosen = torch.arange(8) % 2 == 0
    bgr = RandomGrayscale(0.2, True, (0.114, 0.587, 0.2989))
    rgb = RandomGrayscale(0.2, True, (0.2989, 0.587, 0.114), color_format="rgb")
    result = bgr.apply(images, chosen.nonzero()[:, 0])
    expected = F.rgb_to_grayscale(images[chosen] / 255, num_output_channels=3) * 255
    torch.testing.assert_close(
        result[chosen], expected, rtol=2e-4, atol=1e-3
    )  # weights of sum 0.9999
    assert result[~chosen].equal(images[~chosen])
    assert rgb.apply(images, chosen.nonzero()[:, 0]).equal(result)
    assert bgr.weights[0] > 2 * bgr.weights[2], "red must weigh more than blue"


def test_solarize_is_torchvisions() -> None:
    images = _images(8).round()
    images[6] = 128
    chosen = torch.arange(8) != 7
    result = Solarize(128, 0.2).apply(images, chosen.nonzero()[:, 0])
    assert result[chosen].equal(F.solarize(images[chosen] / 255, 128 / 255).mul(255).round())
    assert result[7].equal(images[7])
    never = Solarize(128, 0.0)
    assert never.apply(images, torch.tensor([], dtype=torch.long)) is images


@pytest.mark.parametrize("kind", [Solarize, RandomGrayscale])
def test_as_frequent_as_asked(kind: type) -> None:
    operation = kind(thr=128, prob=0.2) if kind is Solarize else kind(0.2, True)
    numbers = torch.rand(10_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    share = len(operation.plan(numbers, (4, 4))) / 10_000
    assert abs(share - 0.2) < 5 * (0.2 * 0.8 / 10_000) ** 0.5


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: ColorJitter(hue=0.6), "hue is 0.6"),
        (lambda: ColorJitter(brightness=(1.2, 0.8)), "brightness"),
        (lambda: ColorJitter(contrast=-0.1), "contrast"),
        (lambda: RandomGrayscale(0.1), "keep_channels=True"),
        (lambda: RandomGrayscale(0.1, True, (1.0, 1.0)), "three numbers"),
        (lambda: RandomGrayscale(0.1, True, color_format="hsv"), "'bgr' or 'rgb'"),
        (lambda: Solarize(128, 2.0), r"\[0, 1\]"),
    ],
)
def test_what_can_not_be_is_refused(build, reason: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=reason):
        build()


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_other_channels_than_three_have_brightness_and_contrast_alone(channels: int) -> None:
    images = torch.rand(6, channels, 9, 7, generator=torch.Generator().manual_seed(0)) * 100
    factors = torch.tensor([[1.2, 0.5, 1.0, 0.0]], dtype=torch.float64).repeat(6, 1)
    order = torch.tensor([[0, 1, 2, 3]]).repeat(6, 1)
    result = ColorJitter(0.4, 0.6).apply(images, jitter_plan(factors, order))
    bright = images * 1.2
    assert torch.allclose(result, 0.5 * bright + 0.5 * bright.mean((2, 3), keepdim=True), atol=1e-4)
    assert torch.equal(
        Solarize(50, prob=1).apply(images, torch.arange(6)),
        torch.where(images >= 50, 255 - images, images),
    )
    with pytest.raises(ConfigError, match=f"ColorJitter needs red, green and blue, .* {channels}"):
        ColorJitter(0.4, 0.4, 0.2).apply(images, jitter_plan(factors, order))
    with pytest.raises(ConfigError, match="RandomGrayscale needs red, green and blue"):
        RandomGrayscale(keep_channels=True).apply(images, torch.arange(6))
