"""Scenes to detect and segment digits in: real handwriting, without a download."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from mmengine.dataset import BaseDataset

from mixssl.datasets.digits import Digits
from mixssl.datasets.scene_painting import (
    Placed,
    background,
    box_of,
    paint,
    place,
    run_lengths,
    stretch,
    whole,
)
from mixssl.registry import DATASETS
from mixssl.utils.errors import ConfigError

__all__ = ["DigitScenes"]

SOURCES = {"train": "train", "val": "test"}
"""From which of the digits' splits a split of scenes takes its digits: no image is in both."""
INK = (144, 255)
"""Brightness of digits, drawn for each."""
FAINT_INK = (96, 192)
"""Brightness of clutter."""


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

    METAINFO: ClassVar[dict[str, Any]] = {
        "classes": Digits.METAINFO["classes"],
        "palette": [
            (0, 114, 178),
            (213, 94, 0),
            (0, 158, 115),
            (204, 121, 167),
            (230, 159, 0),
            (86, 180, 233),
            (240, 228, 66),
            (140, 109, 0),
            (143, 143, 143),
            (94, 60, 153),
        ],
    }

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
        low, high = self.digits
        small, large = self.digit_size
        allowed = [
            (f"split is {self.split!r}; choose 'train' or 'val'", self.split in SOURCES),
            (f"num_scenes is {self.num_scenes}; choose 1 or more", self.num_scenes >= 1),
            (
                f"digits is {self.digits}; give the least and the largest number, from 1 on",
                1 <= low <= high,
            ),
            (
                f"digit_size is {self.digit_size} for an image_size of {self.image_size}; digits have 8 pixels or "
                "more and fit the image",
                8 <= small <= large <= min(self.image_size),
            ),
            (f"clutter is {self.clutter}; choose 0 or more", self.clutter >= 0),
            (
                f"brightness is {self.brightness} and noise {self.noise}; both lie in [0, 255]",
                0 <= self.brightness <= 255 and 0 <= self.noise <= 255,
            ),
            (
                f"max_overlap is {self.max_overlap} and must lie in [0, 1)",
                0 <= self.max_overlap < 1,
            ),
            (f"seed is {self.seed}; choose 0 or more", self.seed >= 0),
        ]
        for line, holds in allowed:
            if not holds:
                raise ConfigError(f"DigitScenes: {line}.")

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
