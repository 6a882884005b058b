"""What is drawn before anything is mixed: λ, partner, box. Torch generators on the CPU only, the same on every rank.

Drawing on the CPU keeps the device free of synchronisation: the few numbers travel to it once, without being read back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from mmengine.dist import broadcast, get_rank, get_world_size
from torch import Tensor, nn

if TYPE_CHECKING:
    from mixssl.mixing.base import Mixer

_MASK64 = (1 << 64) - 1


def check_views(
    mixer: Mixer, views: Sequence[Tensor], pairs: bool = True, one_size: bool = False
) -> None:
    """Raises a ValueError where a mixer can't mix the views that it is given; called before anything is drawn.

    Args:
        mixer: With the numbers of the views that it mixes, ``mixer.views``.
        views: Clean views, each (N, C, H, W).
        pairs: Whether an image needs another image of the batch to be mixed with.
        one_size: Whether all views that are mixed share their draws, and so must be of one size.
    """
    name = type(mixer).__name__
    if pairs and len(views[0]) < 2:
        raise ValueError(
            f"{name} got a batch of {len(views[0])} and needs at least 2 images per device: "
            "raise batch_size, or set drop_last=True in train_dataloader"
        )
    if max(mixer.views) >= len(views):
        raise ValueError(
            f"{name} mixes view {max(mixer.views)} and the pipeline gives {len(views)}: "
            f"views must lie in [0, {len(views) - 1}], or raise num_views of MultiView"
        )
    if one_size:
        sizes = {tuple(views[source].shape[-2:]) for source in mixer.views}
        if len(sizes) > 1:
            raise ValueError(
                f"{name} got views of {sorted(sizes)} pixels and mixes views of one size: "
                "name those of one size in views"
            )


def beta(alpha: float, size: int, generator: torch.Generator) -> Tensor:
    """Draws λ ~ Beta(alpha, alpha).

    Args:
        alpha: Both parameters of the distribution, > 0; 1 is uniform on [0, 1].
        size: How many values.
        generator: A CPU generator.

    Returns:
        (size,), float64, in [0, 1], on the CPU.
    """
    concentration = torch.full((size, 2), alpha, dtype=torch.float64)
    return torch._sample_dirichlet(concentration, generator=generator)[:, 0]


def uniform(size: int, generator: torch.Generator) -> Tensor:
    """Draws from [0, 1): (size,), float64, on the CPU."""
    return torch.rand(size, generator=generator, dtype=torch.float64)


def reverse_partner(size: int, device: torch.device | str = "cpu") -> Tensor:
    """Pairs the first image with the last, the second with the last but one, and so on (Un-Mix §3.2).

    The pairing is an involution: ``partner[partner] == arange(size)``.

    Returns:
        (size,), int64.
    """
    return torch.arange(size - 1, -1, -1, device=device)


def random_partner(size: int, generator: torch.Generator) -> Tensor:
    """Pairs images by a random permutation, which may leave an image with itself, as mixup's does.

    Args:
        size: Of the batch.
        generator: A CPU generator.

    Returns:
        (size,), int64, on the CPU.
    """
    return torch.randperm(size, generator=generator)


def stream(generator: torch.Generator, place: int) -> torch.Generator:
    """A generator for each of several that draw in one step: the given one at place 0, else one of its own.

    They follow from the given one's seed, however much has been drawn from it.
    """
    if place == 0:
        return generator
    return torch.Generator().manual_seed(_scramble(generator.initial_seed(), place))


def cut_boxes(
    lam: Tensor, height: int, width: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draws one box per λ that covers about ``1 - lam`` of the image (CutMix), centre uniform.

    Both half sides are rounded down, so the box is even-sized before it is clipped to the image and may be empty; λ is
    recomputed from the clipped box, as in Un-Mix's code.

    Args:
        lam: Aimed-at weight of the own image, (B,), in [0, 1], on the CPU.
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        generator: A CPU generator.

    Returns:
        boxes: (B, 4), int64: top, left, bottom, right, half-open.
        lam: (B,), float64: exact weight left to the own image.
    """
    size = torch.tensor([height, width], dtype=torch.float64)
    centre = (torch.rand(len(lam), 2, generator=generator, dtype=torch.float64) * size).long()
    return clip_boxes(centre, half_sides(lam, height, width), height, width)


def inner_boxes(
    ratio: Tensor, height: int, width: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draws boxes of given sizes that lie inside the image.

    Args:
        ratio: Of the box's sides to the image's, (B,), in [0, 1], on the CPU; a side is rounded down, to 1 at least.
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        generator: A CPU generator.

    Returns:
        boxes: (B, 4), int64: top, left, bottom, right, half-open.
        lam: (B,), float64: exact weight left to the own image.
    """
    size = torch.tensor([height, width])
    side = (ratio[:, None] * size).long().clamp_min(1)
    room = size - side + 1
    corner = (torch.rand(len(ratio), 2, generator=generator, dtype=torch.float64) * room).long()
    lam = 1.0 - side.prod(dim=1).double() / (height * width)
    return torch.cat([corner, corner + side], dim=1), lam


def half_sides(lam: Tensor, height: int, width: int) -> Tensor:
    """Half the sides of boxes that cover about ``1 - lam`` of an image: (B, 2), int64, height first, rounded down."""
    side = (1.0 - lam.double()).clamp_min(0).sqrt()
    size = torch.tensor([height, width], dtype=torch.float64, device=lam.device)
    return (side[:, None] * size).long() // 2


def clip_boxes(centre: Tensor, half: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Clips boxes to the image and says what they leave of it.

    Args:
        centre: (B, 2), int64: row and column.
        half: Half sides, (B, 2), int64, on the same device.
        height: Of the image, in pixels.
        width: Of the image, in pixels.

    Returns:
        boxes: (B, 4), int64: top, left, bottom, right, half-open.
        lam: (B,), float64: exact weight left to the own image.
    """
    low = (centre - half).clamp_min(0)
    row, column = (centre + half).unbind(dim=1)
    high = torch.stack([row.clamp_max(height), column.clamp_max(width)], dim=1)
    area = (high - low).prod(dim=1)
    return torch.cat([low, high], dim=1), 1.0 - area.double() / (height * width)


class StepRandom(nn.Module):
    """A generator for every training step, a function of (seed, step) alone.

    Any step can be replayed from two numbers, and every rank draws the same. Both are buffers, so a checkpoint carries
    them and a resumed run goes on with the draws that the interrupted one would have made.

    Args:
        seed: In [0, 2^63). None takes torch's seed, without advancing it, and shares rank 0's with all ranks.
    """

    seed: Tensor
    step: Tensor

    def __init__(self, seed: int | None = None) -> None:
        super().__init__()
        if seed is not None and not 0 <= seed < 2**63:
            raise ValueError(
                f"seed is {seed}; it must lie in [0, 2^63), or be None for torch's own seed"
            )
        self.register_buffer("seed", torch.tensor(-1 if seed is None else seed))
        self.register_buffer("step", torch.tensor(0))
        # Mirrors of the buffers on the host, read from them once: reading them every step would stall the device.
        self._seed: int | None = None
        self._step = 0

    def _load_from_state_dict(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super()._load_from_state_dict(*args, **kwargs)
        self._seed = None

    def forward(self) -> torch.Generator:
        """Returns this step's generator, on the CPU, and moves on to the next step."""
        if self._seed is None:
            self._settle()
        assert self._seed is not None
        generator = torch.Generator().manual_seed(_scramble(self._seed, self._step))
        self._step += 1
        self.step += 1
        return generator

    @property
    def steps(self) -> int:
        """Number of generators returned so far, known without asking the device."""
        if self._seed is None:
            self._settle()
        return self._step

    def _settle(self) -> None:
        """Reads seed and step from the buffers; a seed not given yet is agreed on by all ranks."""
        seed = int(self.seed)
        if seed < 0:
            shared = torch.tensor(torch.initial_seed() & (2**63 - 1), device=self.seed.device)
            broadcast(shared, src=0)
            self.seed.copy_(shared)
            seed = int(shared)
        self._seed, self._step = seed, int(self.step)


class StreamRandom(StepRandom):
    """Numbers for every image of a run, a function of (seed, place of the image in the stream) alone.

    The stream is what all processes train on: image j of process r of W is number ``W * j + r`` of an iteration's, as a
    sampler deals them out. One process with batch 512, two with 256 each, and four micro-batches of 128 therefore draw
    the same for the same image. ``step`` counts images.
    """

    block = 128
    """Images that share a generator; a batch needs few of them and no image depends on how batches are cut."""

    def forward(self, rows: int, numbers: int) -> Tensor:  # type: ignore[override]
        """Draws for this process's part of an iteration's images, and moves on behind all parts.

        Args:
            rows: Images of this process, as many as of every other.
            numbers: How many for each image.

        Returns:
            (rows, numbers), float64, uniform on [0, 1), on the CPU.
        """
        if self._seed is None:
            self._settle()
        assert self._seed is not None
        world = get_world_size()
        begin, end = self._step, self._step + rows * world
        blocks = range(begin // self.block, (end - 1) // self.block + 1)
        # The mixer's generators come from the same seed: numbered from the other end, these are others.
        drawn = [
            torch.rand(
                self.block,
                numbers,
                generator=torch.Generator().manual_seed(_scramble(self._seed, ~block)),
                dtype=torch.float64,
            )
            for block in blocks
        ]
        self._step += rows * world
        self.step += rows * world
        first = begin - blocks.start * self.block
        return torch.cat(drawn)[first + get_rank() : first + rows * world : world]


def _scramble(seed: int, step: int) -> int:
    """Mixes seed and step into 32 well-spread bits (SplitMix64's finaliser), since the generator uses no more."""
    z = (seed + (step + 1) * 0x9E3779B97F4A7C15) & _MASK64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK64
    return (z ^ (z >> 31)) & 0xFFFFFFFF
