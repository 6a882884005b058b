"""Gaussian blur."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from mixssl.augmentation.base import Operation, chosen_rows, on_rows, probability, send
from mixssl.augmentation.resampling import blur_weights, resample
from mixssl.registry import AUGMENTATIONS
from mixssl.utils.errors import ConfigError

CUT_AT = 4
"""Standard deviations after which the bell is cut off: what lies beyond has less than 1e-4 of its weight."""


class BlurPlan(NamedTuple):
    """Which images are blurred, and how much."""

    rows: Tensor
    """(M,), int64."""
    sigma: Tensor
    """(M,), float64, in pixels."""


@AUGMENTATIONS.register_module()
class GaussianBlur(Operation):
    """Blurs each image with a probability, by a standard deviation of its own.

    A true Gaussian with mirrored edges, where Pillow, and so the per-image transform, repeats the edge pixel and
    approximates the bell by box filters.

    Args:
        radius: Standard deviation in pixels, >= 0; or None for a random one.
        prob: In [0, 1].
        magnitude_range: Least and most standard deviation, where ``radius`` is None.
        magnitude_std: "inf" for a uniform draw from the range; 0 for its upper end.

    Raises:
        ConfigError: Neither or both of radius and range, a range out of order, or another ``magnitude_std``.
    """

    numbers = 2

    def __init__(
        self,
        radius: float | None = None,
        prob: float = 0.5,
        magnitude_range: Sequence[float] | None = None,
        magnitude_std: str | float = 0.0,
    ) -> None:
        if radius is not None and magnitude_range is None:
            low, high = radius, radius
        elif radius is None and magnitude_range is not None:
            low, high = magnitude_range
        else:
            raise ConfigError(
                f"GaussianBlur: radius is {radius} and magnitude_range {magnitude_range}; give one of them"
            )
        if magnitude_std not in ("inf", 0, 0.0):
            raise ConfigError(
                f"GaussianBlur on the device: magnitude_std is {magnitude_std!r}; choose 'inf' or 0"
            )
        if not 0 <= low <= high:
            raise ConfigError(
                f"GaussianBlur: standard deviations go from {low} to {high}; give numbers >= 0, the smaller first"
            )
        self.low = float(low) if magnitude_std == "inf" else float(high)
        self.high = float(high)
        self.prob = probability("GaussianBlur", prob)

    def plan(self, numbers: Tensor, size: tuple[int, int]) -> BlurPlan:
        """Draws a standard deviation for the chosen images."""
        rows = chosen_rows(numbers[:, 0], self.prob)
        return BlurPlan(rows, self.low + (self.high - self.low) * numbers[rows, 1])

    def apply(self, images: Tensor, plan: BlurPlan) -> Tensor:
        """Blurs the chosen ones."""
        if self.high == 0:
            return images
        # A standard deviation of 0 leaves an image as it is; this one does so without a division by 0.
        sigma = send(plan.sigma.clamp_min(1e-2), images.device)
        radius = math.ceil(CUT_AT * self.high)
        weights = [blur_weights(sigma, side, min(radius, side - 1)) for side in images.shape[-2:]]
        return on_rows(images, plan.rows, lambda chosen: resample(chosen, *weights))
