"""Painting of scenes: scans of ink on a restless ground, with a box and a mask for what remains visible of each.

All arithmetic is on whole numbers, so that a scene is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

__all__ = ["Placed", "background", "box_of", "mask_of", "paint", "place", "run_lengths", "stretch"]

SOLID = 128
"""From this opacity on, of 255, a pixel belongs to the mask."""
COARSE = 4
"""Cells along each side of the ground's slow changes of brightness."""
TRIES = 40
"""Places tried for a digit; one that fits nowhere is left out."""


class Placed(NamedTuple):
    """A scan on the canvas; ``top`` and ``left`` may not push it over the edge.

    ``opacity`` is (h, w) uint8 in [0, 255], ``ink`` the brightness in [0, 255].
    """

    opacity: np.ndarray
    top: int
    left: int
    ink: int
    label: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the canvas that the scan covers."""
        height, width = self.opacity.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def whole(low: int, high: int, generator: torch.Generator) -> int:
    """A whole number from ``low`` to ``high``, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))


def stretch(scan: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes a scan (h, w) uint8 bicubically; Pillow does it in whole numbers."""
    image = Image.fromarray(np.ascontiguousarray(scan))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def background(
    size: tuple[int, int], brightness: int, noise: int, generator: torch.Generator
) -> np.ndarray:
    """Slow changes between 0 and ``brightness`` with grain of ``±noise``; (H, W) uint8."""
    cells = torch.randint(0, brightness + 1, (COARSE, COARSE), generator=generator)
    ground = stretch(cells.numpy().astype(np.uint8), *size).astype(np.int32)
    grain = torch.randint(-noise, noise + 1, size, generator=generator)
    return np.clip(ground + grain.numpy(), 0, 255).astype(np.uint8)


def paint(canvas: np.ndarray, placed: Placed) -> np.ndarray:
    """A copy of the canvas (H, W) uint8 with one scan laid over it, rounded to the nearest level."""
    result = canvas.copy()
    under = canvas[placed.window].astype(np.int32)
    cover = placed.opacity.astype(np.int32)
    result[placed.window] = ((255 - cover) * under + cover * placed.ink + 127) // 255
    return result


def box_of(mask: np.ndarray) -> list[float]:
    """Left, top, right and bottom edge, in pixels, of a mask (H, W) bool that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)]


def run_lengths(mask: np.ndarray) -> dict[str, list[int]]:
    """A mask (H, W) bool in COCO's uncompressed form: runs of 0 and 1 in turns, column by column, 0 first."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff([0, *edges, mask.size])
    return {"size": list(mask.shape), "counts": counts.tolist()}


def mask_of(runs: Mapping[str, Sequence[int]]) -> np.ndarray:
    """The mask (H, W) bool of which :func:`run_lengths` made these runs."""
    height, width = runs["size"]
    values = np.arange(len(runs["counts"])) % 2 == 1
    return np.repeat(values, runs["counts"]).reshape(width, height).T


def _apart(boxes: Sequence[Sequence[float]], box: Sequence[float], max_overlap: float) -> bool:
    """Whether a box shares no more than allowed with any other, relative to the smaller of the two."""
    for other in boxes:
        width = min(box[2], other[2]) - max(box[0], other[0])
        height = min(box[3], other[3]) - max(box[1], other[1])
        smaller = min((b[2] - b[0]) * (b[3] - b[1]) for b in (box, other))
        if max(width, 0) * max(height, 0) > max_overlap * smaller:
            return False
    return True


def place(
    size: tuple[int, int],
    scans: Sequence[tuple[np.ndarray, int, int]],
    max_overlap: float,
    generator: torch.Generator,
) -> tuple[list[Placed], list[np.ndarray]]:
    """Finds places for scans, each in front of those before it.

    Args:
        size: Height and width of the canvas, no smaller than any scan.
        scans: Opacity (h, w) uint8, ink and label of each, the hindmost first. Each has a pixel that is solid.
        max_overlap: Share of the smaller of two boxes that may lie in the larger, in [0, 1).
        generator: On the CPU.

    Returns:
        placed: Those that found a place, in the order given; the first always does.
        masks: What is visible of each, (H, W) bool.
    """
    placed: list[Placed] = []
    masks: list[np.ndarray] = []
    for opacity, ink, label in scans:
        height, width = opacity.shape
        for _ in range(TRIES):
            top = whole(0, size[0] - height, generator)
            left = whole(0, size[1] - width, generator)
            trial = Placed(opacity, top, left, ink, label)
            after = _in_front(masks, trial, size, max_overlap)
            if after is not None:
                placed.append(trial)
                masks = after
                break
    return placed, masks


def _in_front(
    masks: list[np.ndarray], trial: Placed, size: tuple[int, int], max_overlap: float
) -> list[np.ndarray] | None:
    """The masks with one more in front of them; None where it would hide too much or sit too close."""
    solid = trial.opacity >= SOLID
    left, top, right, bottom = box_of(solid)
    box = [left + trial.left, top + trial.top, right + trial.left, bottom + trial.top]
    # Most trials end here, before a mask is drawn.
    if not _apart([box_of(mask) for mask in masks], box, max_overlap):
        return None
    front = np.zeros(size, dtype=bool)
    front[trial.window] = solid
    after = [*(mask & ~front for mask in masks), front]
    if not all(mask.any() for mask in after):
        return None
    # What remains of a half-hidden one has a smaller box, of which a neighbour may cover a larger share.
    boxes = [box_of(mask) for mask in after]
    fit = all(_apart(boxes[:number], box, max_overlap) for number, box in enumerate(boxes))
    return after if fit else None
