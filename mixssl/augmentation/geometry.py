"""Where the pixels of a view come from: crop and flip."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mixssl.augmentation.base import Operation, chosen_rows, on_rows, probability, send
from mixssl.augmentation.resampling import crop_weights, resample
from mixssl.registry import AUGMENTATIONS
from mixssl.utils.errors import ConfigError


class Boxes(NamedTuple):
    """One crop per image, in pixels, each (N,), int64."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor


@AUGMENTATIONS.register_module()
class RandomResizedCrop(Operation):
    """Crops a random part of each image and scales it to one size.

    The draws of torchvision's and mmpretrain's transform, attempts included: share of the area uniform, aspect ratio
    log-uniform, sides rounded to whole pixels, place uniform; of ``max_attempts`` draws the first that fits the image
    counts, and if none does, the largest central crop whose ratio is allowed.

    Args:
        scale: Side of the output in pixels, or its height and width.
        crop_ratio_range: Share of the area, least and most, > 0.
        aspect_ratio_range: Width by height, least and most, > 0.
        max_attempts: Draws before the central crop is taken, at least 1.
        interpolation: "bilinear", or "bicubic" with ``backend='pillow'``.
        backend: "pillow" averages over what it shrinks, "cv2" does not.

    Raises:
        ConfigError: An argument out of range, or an interpolation without a device form.
    """

    def __init__(
        self,
        scale: int | Sequence[int],
        crop_ratio_range: Sequence[float] = (0.08, 1.0),
        aspect_ratio_range: Sequence[float] = (3 / 4, 4 / 3),
        max_attempts: int = 10,
        interpolation: str = "bilinear",
        backend: str = "cv2",
    ) -> None:
        height, width = (scale, scale) if isinstance(scale, int) else scale
        for name, (low, high) in {
            "crop_ratio_range": crop_ratio_range,
            "aspect_ratio_range": aspect_ratio_range,
        }.items():
            if not 0 < low <= high:
                raise ConfigError(
                    f"RandomResizedCrop: {name} is ({low}, {high}); give two numbers above 0, the smaller first"
                )
        if min(height, width, max_attempts) < 1:
            raise ConfigError(
                f"RandomResizedCrop: scale is {scale} and max_attempts {max_attempts}; both must be at least 1"
            )
        if (interpolation, backend) not in (
            ("bilinear", "cv2"),
            ("bilinear", "pillow"),
            ("bicubic", "pillow"),
        ):
            raise ConfigError(
                f"RandomResizedCrop on the device: interpolation is {interpolation!r} of {backend!r}; choose "
                "'bilinear' of 'cv2' or 'pillow', or 'bicubic' of 'pillow'"
            )
        self.out = (height, width)
        self.area = crop_ratio_range
        self.ratio = aspect_ratio_range
        self.attempts = max_attempts
        self.cubic = interpolation == "bicubic"
        self.smooth = backend == "pillow"
        self.numbers = 2 * max_attempts + 2

    def plan(self, numbers: Tensor, size: tuple[int, int]) -> Boxes:
        """Draws a box per image."""
        tries = numbers[:, :-2].view(len(numbers), self.attempts, 2)
        area = (self.area[0] + (self.area[1] - self.area[0]) * tries[..., 0]) * size[0] * size[1]
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        ratio = (low + (high - low) * tries[..., 1]).exp()
        height, width = (area / ratio).sqrt().round().long(), (area * ratio).sqrt().round().long()
        fits = (height > 0) & (height <= size[0]) & (width > 0) & (width <= size[1])
        first = fits.int().argmax(dim=1, keepdim=True)
        fallback = self._central(size)
        found = fits.any(dim=1)
        height = torch.where(found, height.gather(1, first)[:, 0], fallback[0])
        width = torch.where(found, width.gather(1, first)[:, 0], fallback[1])
        place = numbers[:, -2:]
        top = (place[:, 0] * (size[0] - height + 1)).long()
        left = (place[:, 1] * (size[1] - width + 1)).long()
        top = torch.where(found, top, (size[0] - height) // 2)
        left = torch.where(found, left, (size[1] - width) // 2)
        return Boxes(top, left, height, width)

    def _central(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the largest crop whose ratio is allowed."""
        height, width = size
        if width / height < self.ratio[0]:
            return round(width / self.ratio[0]), width
        if width / height > self.ratio[1]:
            return height, round(height * self.ratio[1])
        return size

    def apply(self, images: Tensor, plan: Boxes) -> Tensor:
        """Crops and scales; Negative overshoot of "bicubic" is cut off, as Pillow does."""
        height, width = images.shape[-2:]
        top, left, tall, wide = send(torch.stack(plan), images.device).unbind()
        out = resample(
            images,
            crop_weights(top, tall, self.out[0], height, self.cubic, self.smooth),
            crop_weights(left, wide, self.out[1], width, self.cubic, self.smooth),
        )
        return out.clamp_(0, 255) if self.cubic else out

    def size_after(self, size: tuple[int, int]) -> tuple[int, int]:
        """What was asked for."""
        return self.out


@AUGMENTATIONS.register_module()
class RandomFlip(Operation):
    """Mirrors each image left to right with a probability.

    Args:
        prob: In [0, 1].
        direction: "horizontal".

    Raises:
        ConfigError: Another direction, or a probability out of range.
    """

    numbers = 1

    def __init__(self, prob: float = 0.5, direction: str = "horizontal") -> None:
        if direction != "horizontal":
            raise ConfigError(
                f"RandomFlip on the device: direction is {direction!r}; only 'horizontal' has a device form"
            )
        self.prob = probability("RandomFlip", prob)

    def plan(self, numbers: Tensor, size: tuple[int, int]) -> Tensor:
        """Which images: (M,), int64."""
        return chosen_rows(numbers[:, 0], self.prob)

    def apply(self, images: Tensor, plan: Tensor) -> Tensor:
        """Mirrors the chosen ones."""
        return on_rows(images, plan, lambda chosen: chosen.flip(-1))
