"""What happens to colours: jitter, gray, solarisation."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mixssl.augmentation.base import (
    BRIGHTEST,
    Operation,
    chosen_rows,
    gray,
    on_rows,
    probability,
    require_colours,
    send,
)
from mixssl.registry import AUGMENTATIONS
from mixssl.utils.errors import ConfigError

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)


class JitterPlan(NamedTuple):
    """Images sorted by when their hue turns: before any of the three blends, or after one, two or three of them."""

    order: Tensor
    """(N,), int64: which image stands in a row."""
    starts: list[int]
    """Four: rows from ``starts[k]`` on turn their hue after k blends or more."""
    kinds: Tensor
    """(N, 3), int64: what the first, second and third blend of a row changes."""
    factors: Tensor
    """(N, 4), float64: of brightness, contrast, saturation; and the turn of the hue in circles."""


@AUGMENTATIONS.register_module()
class ColorJitter(Operation):
    """Changes brightness, contrast, saturation and hue of each image, in an order of its own.

    Factors are uniform, orders uniform over all 24, values are cut off at 0 and 255 after each change: torchvision's
    ``ColorJitter`` on floating point images. Gray is 0.2989 R + 0.587 G + 0.114 B; hue is that of HSV.

    Images of another number of channels than three have brightness and contrast, the latter around each channel's own
    mean, and neither saturation nor hue.

    Args:
        brightness: Factors from max(0, 1 - brightness) to 1 + brightness, or the least and the most.
        contrast: Likewise.
        saturation: Likewise.
        hue: Turns from -hue to hue in circles, at most 1/2, or the least and the most.
        backend: Of the per-image transform; no matter here.

    Raises:
        ConfigError: A range outside of what is allowed.
    """

    numbers = 8

    def __init__(
        self,
        brightness: float | Sequence[float] = 0.0,
        contrast: float | Sequence[float] = 0.0,
        saturation: float | Sequence[float] = 0.0,
        hue: float | Sequence[float] = 0.0,
        backend: str = "pillow",
    ) -> None:
        most = float("inf")
        ranges = [
            _range("brightness", brightness, 1.0, (0.0, most)),
            _range("contrast", contrast, 1.0, (0.0, most)),
            _range("saturation", saturation, 1.0, (0.0, most)),
            _range("hue", hue, 0.0, (-0.5, 0.5)),
        ]
        self.low, self.high = torch.tensor(ranges, dtype=torch.float64).unbind(dim=1)
        self.turns = ranges[HUE] != (0.0, 0.0)
        self.of_colours = self.turns or ranges[SATURATION] != (1.0, 1.0)

    def plan(self, numbers: Tensor, size: tuple[int, int]) -> JitterPlan:
        """Draws four factors and an order per image."""
        factors = self.low + (self.high - self.low) * numbers[:, :4]
        return jitter_plan(factors, numbers[:, 4:].argsort(dim=1))

    def apply(self, images: Tensor, plan: JitterPlan) -> Tensor:
        """Blends, turns the hue of all rows at once, and blends again."""
        if self.of_colours:
            require_colours(images, "ColorJitter", "set saturation=0 and hue=0")
        device = images.device
        order = send(plan.order, device)
        rows = images.index_select(0, order)
        blends, circles = (send(part, device) for part in _coefficients(plan))
        start = plan.starts
        for k in range(3):
            _blend(rows[start[k + 1] :], blends[k, start[k + 1] :])
        if self.turns:
            _turn_hue(rows, circles)
        for k in range(3):
            _blend(rows[: start[k + 1]], blends[k, : start[k + 1]])
        return torch.empty_like(rows).index_copy_(0, order, rows)


def jitter_plan(factors: Tensor, sequence: Tensor) -> JitterPlan:
    """Sorts images by the place of the hue in their sequence.

    Args:
        factors: (N, 4), float64: of brightness, contrast, saturation, hue.
        sequence: (N, 4), int64: rows are permutations of 0 to 3, what comes first, second, third and last.
    """
    place = sequence.argsort(dim=1)[:, HUE]
    order = place.argsort(stable=True)
    kinds = sequence[sequence != HUE].view(-1, 3)
    starts = [int((place < k).sum()) for k in range(4)]
    return JitterPlan(order, starts, kinds[order], factors[order])


def _coefficients(plan: JitterPlan) -> tuple[Tensor, Tensor]:
    """Blends as numbers: what weighs the image, its gray, its mean gray; and the turns of the hue.

    Returns:
        blends: (3, N, 3), float64; circles: (N,), float64.
    """
    factor = plan.factors.gather(1, plan.kinds)
    rest = 1 - factor
    blends = [factor, rest * (plan.kinds == SATURATION), rest * (plan.kinds == CONTRAST)]
    return torch.stack(blends, dim=-1).transpose(0, 1).contiguous(), plan.factors[:, HUE]


def _blend(rows: Tensor, coefficients: Tensor) -> None:
    """Mixes images with black (brightness), their mean gray (contrast) or their gray (saturation), in place."""
    if not len(rows):
        return
    own, with_gray, with_mean = coefficients.view(-1, 3, 1, 1, 1).unbind(dim=1)
    shades = gray(rows) if rows.shape[1] == 3 else rows.clone()
    mean = shades.mean(dim=(2, 3), keepdim=True)
    shades.mul_(with_gray).add_(mean.mul_(with_mean))
    rows.mul_(own).add_(shades).clamp_(0, BRIGHTEST)


def _turn_hue(rows: Tensor, circles: Tensor) -> None:
    """Turns the hue of images by a share of the circle, keeping value and chroma, in place."""
    red, green, blue = rows.split(1, dim=1)
    most = torch.maximum(torch.maximum(red, green), blue)
    least = torch.minimum(torch.minimum(red, green), blue)
    chroma = most - least
    # Sixths of the circle from red, one of three formulas by which colour is strongest.
    sixths = torch.where(
        most == red,
        green - blue,
        torch.where(most == green, blue - red + 2 * chroma, red - green + 4 * chroma),
    )
    # Where there is no colour any hue will do, but not NaN.
    sixths.div_(chroma.clamp_min(torch.finfo(rows.dtype).tiny))
    sixths.div_(6).add_(circles.view(-1, 1, 1, 1))
    sixths.sub_(sixths.floor()).mul_(6)
    # How much of the chroma each colour gets: a trapezium around 0, 2 and 4 sixths.
    red.copy_((sixths - 3).abs_().sub_(1))
    green.copy_((sixths - 2).abs_().neg_().add_(2))
    blue.copy_(sixths.sub_(4).abs_().neg_().add_(2))
    rows.clamp_(0, 1).mul_(chroma).add_(least)


def _range(
    name: str, value: float | Sequence[float], centre: float, bounds: tuple[float, float]
) -> tuple[float, float]:
    """Range of a factor from an amount or from two ends."""
    if isinstance(value, (int, float)):
        low, high = max(centre - value, bounds[0]), centre + value
    else:
        low, high = value
    if not bounds[0] <= low <= high <= bounds[1]:
        raise ConfigError(
            f"ColorJitter: {name} is {value}, which makes ({low}, {high}); it must lie in {bounds}"
        )
    return float(low), float(high)


@AUGMENTATIONS.register_module()
class RandomGrayscale(Operation):
    """Takes the colour out of each image with a probability; it keeps three channels.

    Args:
        prob: In [0, 1].
        keep_channels: True: a network takes three.
        channel_weights: Of the channels in the order of ``color_format``, scaled to sum 1.
        color_format: "bgr" or "rgb": order of ``channel_weights``. The images here are RGB whatever it is.

    Raises:
        ConfigError: One channel asked for, another format, or weights or a probability out of range.
    """

    numbers = 1

    def __init__(
        self,
        prob: float = 0.1,
        keep_channels: bool = False,
        channel_weights: Sequence[float] = (1.0, 1.0, 1.0),
        color_format: str = "bgr",
    ) -> None:
        if not keep_channels or color_format not in ("bgr", "rgb"):
            raise ConfigError(
                f"RandomGrayscale on the device: keep_channels is {keep_channels} and color_format {color_format!r}; "
                "it needs keep_channels=True and 'bgr' or 'rgb'"
            )
        if len(channel_weights) != 3 or min(channel_weights) < 0 or not sum(channel_weights) > 0:
            raise ConfigError(
                f"RandomGrayscale: channel_weights is {tuple(channel_weights)}; give three numbers >= 0"
            )
        self.prob = probability("RandomGrayscale", prob)
        total = sum(channel_weights)
        first, green, last = (weight / total for weight in channel_weights)
        self.weights = (last, green, first) if color_format == "bgr" else (first, green, last)

    def plan(self, numbers: Tensor, size: tuple[int, int]) -> Tensor:
        """Which images: (M,), int64."""
        return chosen_rows(numbers[:, 0], self.prob)

    def apply(self, images: Tensor, plan: Tensor) -> Tensor:
        """Puts the weighted sum into all channels of the chosen ones."""
        require_colours(images, "RandomGrayscale", "leave it out")
        return on_rows(images, plan, lambda chosen: gray(chosen, self.weights).expand_as(chosen))


@AUGMENTATIONS.register_module()
class Solarize(Operation):
    """Inverts what is at least as bright as a threshold, in each image with a probability.

    Args:
        thr: Threshold, in [0, 255].
        prob: In [0, 1].

    Raises:
        ConfigError: A probability out of range.
    """

    numbers = 1

    def __init__(self, thr: float, prob: float = 0.5) -> None:
        self.threshold = float(thr)
        self.prob = probability("Solarize", prob)

    def plan(self, numbers: Tensor, size: tuple[int, int]) -> Tensor:
        """Which images: (M,), int64."""
        return chosen_rows(numbers[:, 0], self.prob)

    def apply(self, images: Tensor, plan: Tensor) -> Tensor:
        """Inverts the bright pixels of the chosen ones."""
        return on_rows(
            images,
            plan,
            lambda chosen: torch.where(chosen >= self.threshold, BRIGHTEST - chosen, chosen),
        )
