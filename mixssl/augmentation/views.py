"""Views of a batch, made on the device that trains."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mixssl.augmentation.base import (
    Operation,
    Plan,
    build_operation,
    chosen_rows,
    on_rows,
    probability,
)
from mixssl.mixing import StreamRandom
from mixssl.registry import AUGMENTATIONS
from mixssl.utils.errors import ConfigError

CPU_PIXELS = 2**16
"""Pixels that a CPU works on at a time, 64 images of 32x32, so that they stay in its cache: all at once, a batch of 512
takes more than twice as long. No result depends on it."""


class Chain(Operation):
    """Operations one after another.

    Args:
        steps: Configs of per-image transforms.
    """

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        self.operations = [build_operation(step) for step in steps]
        self.numbers = sum(operation.numbers for operation in self.operations)

    def plan(self, numbers: Tensor, size: tuple[int, int]) -> list[Plan]:
        """Plans each operation for the size that the ones before it leave."""
        plans = []
        parts = numbers.split([operation.numbers for operation in self.operations], dim=1)
        for operation, part in zip(self.operations, parts, strict=True):
            plans.append(operation.plan(part, size))
            size = operation.size_after(size)
        return plans

    def apply(self, images: Tensor, plan: list[Plan]) -> Tensor:
        """Applies each operation to what the ones before it leave."""
        for operation, part in zip(self.operations, plan, strict=True):
            images = operation.apply(images, part)
        return images

    def size_after(self, size: tuple[int, int]) -> tuple[int, int]:
        """What the last operation leaves."""
        for operation in self.operations:
            size = operation.size_after(size)
        return size


class ChosenPlan(NamedTuple):
    """Which images an operation is applied to, and its plan for them."""

    rows: Tensor
    """(M,), int64."""
    plan: Plan


@AUGMENTATIONS.register_module()
class RandomApply(Operation):
    """Applies steps to each image with a probability: all of them or none.

    Args:
        transforms: A config of a per-image transform, or several.
        prob: In [0, 1].

    Raises:
        ConfigError: A probability out of range, or steps that change the size.
    """

    def __init__(
        self, transforms: Mapping[str, Any] | Sequence[Mapping[str, Any]], prob: float = 0.5
    ) -> None:
        self.chain = Chain([transforms] if isinstance(transforms, Mapping) else transforms)
        if self.chain.size_after((1, 1)) != (1, 1):
            raise ConfigError(
                "RandomApply: its steps change the size of some images; take them out of it"
            )
        self.prob = probability("RandomApply", prob)
        self.numbers = 1 + self.chain.numbers

    def plan(self, numbers: Tensor, size: tuple[int, int]) -> ChosenPlan:
        """Chooses images and plans for them."""
        rows = chosen_rows(numbers[:, 0], self.prob)
        return ChosenPlan(rows, self.chain.plan(numbers[rows, 1:], size))

    def apply(self, images: Tensor, plan: ChosenPlan) -> Tensor:
        """Applies the steps to the chosen images."""
        return on_rows(images, plan.rows, lambda chosen: self.chain.apply(chosen, plan.plan))


class Views(nn.Module):
    """Several views of each image of a batch, as mmpretrain's ``MultiView`` makes them image by image.

    Takes the same arguments and reads the same transforms. The views of an image are a function of the seed and of the
    image's place in the stream of images that all processes train on together, hence the same for any number of
    processes, and for any split of a batch into micro-batches. Nothing waits for the device.

    Args:
        num_views: Views by each pipeline; a number stands for one pipeline.
        transforms: Pipelines, each a list of configs of per-image transforms.
        seed: In [0, 2^63); None takes the run's seed. Seed and place in the stream are saved with the model.

    Raises:
        ConfigError: Numbers and pipelines that don't fit, or a transform without a device form.
    """

    def __init__(
        self,
        num_views: int | Sequence[int],
        transforms: Sequence[Sequence[Mapping[str, Any]]],
        seed: int | None = None,
    ) -> None:
        super().__init__()
        counts = [num_views] if isinstance(num_views, int) else list(num_views)
        if len(counts) != len(transforms) or min(counts, default=0) < 1:
            raise ConfigError(
                f"views: num_views is {num_views} for {len(transforms)} pipelines; give one number >= 1 for each"
            )
        self.random = StreamRandom(seed)
        self.chains = [
            chain
            for chain, count in zip(map(Chain, transforms), counts, strict=True)
            for _ in range(count)
        ]

    @torch.no_grad()
    def forward(self, images: Tensor) -> list[Tensor]:
        """Makes the views of this process's part of a batch.

        Args:
            images: (N, C, H, W), 0 to 255, uint8 or floating point, RGB where C is 3; not modified.

        Returns:
            Views, each (N, C, H', W'), float32, in [0, 255], not rounded.
        """
        size = (images.shape[2], images.shape[3])
        numbers = self.random(len(images), sum(chain.numbers for chain in self.chains))
        parts = numbers.split([chain.numbers for chain in self.chains], dim=1)
        # Under autocast the crops would be computed in half precision.
        with torch.autocast(images.device.type, enabled=False):
            return [
                _make(chain, images, part, size)
                for chain, part in zip(self.chains, parts, strict=True)
            ]


def _make(chain: Chain, images: Tensor, numbers: Tensor, size: tuple[int, int]) -> Tensor:
    """Makes one view, on a CPU of a few images at a time."""
    rows = len(images)
    if images.device.type == "cpu":
        pixels = max(math.prod(size), math.prod(chain.size_after(size)))
        rows = max(CPU_PIXELS // pixels, 1)
    view = torch.empty(len(images), images.shape[1], *chain.size_after(size), device=images.device)
    parts = zip(images.split(rows), numbers.split(rows), view.split(rows), strict=True)
    for source, part, target in parts:
        target.copy_(chain.apply(source.float(), chain.plan(part, size)))
    return view
