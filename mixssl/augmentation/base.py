"""What an operation on a batch of images is: numbers in, a plan on the host, pixels on the device.

Numbers are uniform on [0, 1) and come from outside, so that many processes can agree on them. Planning turns them into
parameters on the CPU: how many images an operation touches is then known without asking the device. Applying is a pure
function of images and plan.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from mixssl.registry import AUGMENTATIONS
from mixssl.utils.errors import ConfigError

BRIGHTEST = 255.0
"""Images are floating point, from 0 to this, not rounded between operations; three channels are red, green, blue."""

Plan = Any
"""What an operation's ``plan`` hands to its ``apply``; its tensors lie on the CPU."""


class Operation(ABC):
    """An augmentation of a whole batch, each image by its own draws.

    Registered under the name of the per-image transform of which it is the device form, with the same arguments.
    """

    numbers: int
    """How many uniform numbers an image takes."""

    @abstractmethod
    def plan(self, numbers: Tensor, size: tuple[int, int]) -> Plan:
        """Turns numbers into parameters.

        Args:
            numbers: (N, ``self.numbers``), float64, in [0, 1), on the CPU.
            size: Height and width of the images that will come.
        """

    @abstractmethod
    def apply(self, images: Tensor, plan: Plan) -> Tensor:
        """Augments a batch.

        Args:
            images: (N, C, H, W), floating point, in [0, 255], RGB where C is 3; not modified.
            plan: For these N images.

        Returns:
            A tensor like ``images``, which may be the argument itself where nothing changes; its size may differ.
        """

    def size_after(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of what ``apply`` returns for images of a size."""
        return size


def build_operation(step: Mapping[str, Any]) -> Operation:
    """Builds the device form of a step of a pipeline.

    Args:
        step: Config of a per-image transform: ``dict(type='RandomFlip', prob=0.5)``.

    Raises:
        ConfigError: A step without a device form, or an argument that its device form does not take.
    """
    arguments = {key: value for key, value in step.items() if key != "_scope_"}
    kind = arguments.pop("type")
    name = kind if isinstance(kind, str) else kind.__name__
    kind = AUGMENTATIONS.get(name.removeprefix("mmpretrain.").removeprefix("mmcv."))
    if kind is None:
        known = ", ".join(sorted(AUGMENTATIONS.module_dict))
        raise ConfigError(
            f"{name} has no form that runs on the device; there are {known}. Leave augmentation to the data workers "
            "(no data_preprocessor.views), or register one in mixssl.registry.AUGMENTATIONS"
        )
    try:
        operation: Operation = kind(**arguments)
    except TypeError as error:
        raise ConfigError(f"{name} on the device: {error}") from error
    return operation


def probability(name: str, value: float) -> float:
    """Checks a probability.

    Raises:
        ConfigError: If it lies outside [0, 1].
    """
    if not 0 <= value <= 1:
        raise ConfigError(f"{name}: prob is {value}; it must lie in [0, 1]")
    return float(value)


def require_colours(images: Tensor, name: str, way_out: str) -> None:
    """Raises a ConfigError at images, (N, C, H, W), without red, green and blue."""
    if images.shape[1] != 3:
        raise ConfigError(
            f"{name} needs red, green and blue, and the images have {images.shape[1]} channels: {way_out}"
        )


def chosen_rows(numbers: Tensor, prob: float) -> Tensor:
    """Chooses images with a probability.

    Args:
        numbers: (N,), uniform on [0, 1), on the CPU.
        prob: In [0, 1].

    Returns:
        (M,), int64, rising.
    """
    return (numbers < prob).nonzero()[:, 0]


def on_rows(images: Tensor, rows: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Changes some images of a batch.

    Args:
        images: (N, ...); not modified.
        rows: (M,), int64, rising, on the CPU: which.
        change: Makes of (M, ...) another tensor like it.

    Returns:
        A tensor like ``images``; the argument itself where no row is named.
    """
    if not len(rows):
        return images
    if len(rows) == len(images):
        return change(images)
    there = send(rows, images.device)
    return images.index_copy(0, there, change(images.index_select(0, there)))


def send(values: Tensor, device: torch.device) -> Tensor:
    """Moves a few numbers from the CPU without making the host wait; float64 becomes float32."""
    values = values.float() if values.dtype == torch.float64 else values
    values = values.pin_memory() if device.type == "cuda" else values
    return values.to(device, non_blocking=True)


def gray(images: Tensor, weights: tuple[float, float, float] = (0.2989, 0.587, 0.114)) -> Tensor:
    """Weighted sum of red, green and blue: (N, 3, H, W) to (N, 1, H, W)."""
    red, green, blue = images.split(1, dim=1)
    return (red * weights[0]).add_(green, alpha=weights[1]).add_(blue, alpha=weights[2])
