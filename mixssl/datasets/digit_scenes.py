"""Scenes to detect and segment digits in: real handwriting, without a download.

A box and a mask say what remains visible of each. All arithmetic is on whole numbers, so that a scene is the same on
every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from PIL import Image

from mixssl.datasets.digits import Digits
from mixssl.registry import DATASETS
from mixssl.utils.errors import ConfigError

SOURCES = {"train": "train", "val": "test"}
"""From which of the digits' splits a split of scenes takes its digits: no image is in both."""
INK = (144, 255)
"""Brightness of digits, drawn for each."""
FAINT_INK = (96, 192)
"""Brightness of clutter."""
SOLID = 128
"""From this opacity on, of 255, a pixel belongs to the mask."""
COARSE = 4
"""Cells along each side of the ground's slow changes of brightness."""
TRIES = 40
"""Places tried for a digit; one that fits nowhere is left out."""


@DATASETS.register_module()
class DigitScenes(BaseDataset):
    """Scenes composed of scikit-learn's digits, with a box and a mask for each: COCO's task, offline.

    The ground is gray, uneven and grainy; on it lie pieces of strokes that are no digits, and in front of them the
    digits, of different size and brightness. A later digit may hide a part of an earlier one; box and mask are those
    of the visible part, masks never overlap and every box is tight around its mask.

    Validation scenes are composed of digit images that no training scene and no training split of ``Digits`` has. A
    scene depends on seed, split, options and its number alone: more scenes leave the first ones as they are.

    A sample has ``img`` (H, W, 3) uint8 with equal channels, ``img_id``, ``img_shape``, ``ori_shape``,
    ``height``, ``width`` and ``instances`` as mmdet's ``LoadAnnotations`` takes them: ``bbox`` (left, top, right,
    bottom; in pixels, right and bottom exclusive), ``bbox_label``, ``ignore_flag`` and ``mask`` in COCO's uncompressed
    run lengths. So a pipeline starts without a loading step for the image, and mmdet's ``CocoMetric`` needs no
    annotation file if ``PackDetInputs`` has ``instances`` among its ``meta_keys``. mmdet itself is not imported here.
    The images are held in memory.

    Args:
        split: "train" or "val".
        num_scenes: How many.
        image_size: Height and width in pixels.
        digits: Least and largest number of digits drawn for a scene; one that finds no place is left out.
        digit_size: Least and largest side, in pixels, of a digit's square scan; the ink is narrower.
        clutter: Largest number of pieces of strokes; 0 for none.
        brightness: Of the ground at most, in [0, 255]; 0 for black.
        noise: Largest deviation of the ground's grain, in [0, 255].
        max_overlap: Share of the smaller of two boxes that may lie in the larger, in [0, 1).
        seed: Of everything drawn, at least 0.
        **kwargs: Other arguments of mmengine's ``BaseDataset``: ``pipeline``, ``indices``, ``test_mode``, ...

    Raises:
        ConfigError: A ValueError. An option outside its range.
    """

    METAINFO: ClassVar[dict[str, Any]] = Digits.METAINFO

    def __init__(
        self,
        split: str = "train",
        num_scenes: int = 200,
        image_size: tuple[int, int] = (128, 128),
        digits: tuple[int, int] = (2, 6),
        digit_size: tuple[int, int] = (24, 48),
        clutter: int = 6,
        brightness: int = 96,
        noise: int = 12,
        max_overlap: float = 0.2,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        self.split, self.num_scenes = split, num_scenes
        # A config read from a file may hold lists.
        self.image_size = (image_size[0], image_size[1])
        self.digits, self.digit_size = (digits[0], digits[1]), (digit_size[0], digit_size[1])
        self.clutter, self.brightness, self.noise = clutter, brightness, noise
        self.max_overlap, self.seed = max_overlap, seed
        self._check()
        super().__init__(**kwargs)

    def _check(self) -> None:
        """Refuse what can't be painted."""
        (low, high), (small, large) = self.digits, self.digit_size
        for name, holds, rule in (
            ("split", self.split in SOURCES, "choose 'train' or 'val'"),
            ("num_scenes", self.num_scenes >= 1, "choose 1 or more"),
            ("digits", 1 <= low <= high, "give the least and the largest number, from 1 on"),
            (
                "digit_size",
                8 <= small <= large <= min(self.image_size),
                f"digits have 8 pixels or more and fit the image_size, {self.image_size}",
            ),
            ("clutter", self.clutter >= 0, "choose 0 or more"),
            ("brightness", 0 <= self.brightness <= 255, "it lies in [0, 255]"),
            ("noise", 0 <= self.noise <= 255, "it lies in [0, 255]"),
            ("max_overlap", 0 <= self.max_overlap < 1, "it lies in [0, 1)"),
            ("seed", self.seed >= 0, "choose 0 or more"),
        ):
            if not holds:
                raise ConfigError(f"DigitScenes: {name} is {getattr(self, name)!r}; {rule}.")

    def load_data_list(self) -> list[dict[str, Any]]:
        """Paint the scenes, one after the other from one generator."""
        source = Digits(split=SOURCES[self.split], size=8)
        scans = [(source[i]["img"][..., 0], source[i]["gt_label"]) for i in range(len(source))]
        # Two streams that never meet, whatever the seed.
        number = 2 * self.seed + list(SOURCES).index(self.split)
        generator = torch.Generator().manual_seed(number)
        return [self._scene(i, scans, generator) for i in range(self.num_scenes)]

    def _scene(
        self, number: int, scans: list[tuple[np.ndarray, int]], generator: torch.Generator
    ) -> dict[str, Any]:
        """One sample."""
        size = self.image_size
        canvas = background(size, self.brightness, self.noise, generator)
        for _ in range(whole(0, self.clutter, generator)):
            canvas = paint(canvas, self._piece(scans, generator))
        chosen = []
        for _ in range(whole(*self.digits, generator)):
            scan, label = scans[whole(0, len(scans) - 1, generator)]
            side = whole(*self.digit_size, generator)
            chosen.append((stretch(scan, side, side), whole(*INK, generator), label))
        placed, masks = place(size, chosen, self.max_overlap, generator)
        for digit in placed:
            canvas = paint(canvas, digit)
        return {
            "img": np.repeat(canvas[..., None], 3, axis=2),
            "img_id": number,
            "img_shape": size,
            "ori_shape": size,
            "height": size[0],
            "width": size[1],
            "instances": [
                {
                    "bbox": box_of(mask),
                    "bbox_label": digit.label,
                    "ignore_flag": 0,
                    "mask": run_lengths(mask),
                }
                for digit, mask in zip(placed, masks, strict=True)
            ],
        }

    def _piece(self, scans: list[tuple[np.ndarray, int]], generator: torch.Generator) -> Placed:
        """A quarter of a scan, about as large as it would be in its digit, anywhere."""
        scan, label = scans[whole(0, len(scans) - 1, generator)]
        row, column = whole(0, 4, generator), whole(0, 4, generator)
        side = max(whole(*self.digit_size, generator) // 2, 1)
        opacity = stretch(scan[row : row + 4, column : column + 4], side, side)
        top = whole(0, self.image_size[0] - side, generator)
        left = whole(0, self.image_size[1] - side, generator)
        return Placed(opacity, top, left, whole(*FAINT_INK, generator), label)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Labels of a scene's digits, for mmdet's data sets that balance classes."""
        return [instance["bbox_label"] for instance in self.get_data_info(idx)["instances"]]


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
