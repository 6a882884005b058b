"""Handwritten digits that come with scikit-learn: real images without a download."""

from typing import Any, ClassVar

import mmcv
import numpy as np
from mmpretrain.datasets import BaseDataset
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from mixssl.registry import DATASETS
from mixssl.utils.errors import ConfigError

TEST_IMAGES = 500
SPLIT_SEED = 0
MAX_LEVEL = 16
"""Brightest level of scikit-learn's images; theirs run from 0 (background) to 16 (ink)."""


@DATASETS.register_module()
class Digits(BaseDataset):
    """scikit-learn's 1,797 scanned digits (8x8, gray), up-scaled and with three equal channels.

    The split is fixed and stratified: 1,297 images to train on, 500 to test on. Nothing is read but
    scikit-learn's own files. A sample has ``img`` (size, size, 3) uint8 in [0, 255], bright ink on black, ``gt_label``,
    ``img_shape``, ``ori_shape`` and ``sample_idx``; so a pipeline starts without a loading step.

    Args:
        split: "train" or "test".
        size: Height and width of the images in pixels, at least 8; bicubic above 8.
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``: ``pipeline``, ``indices``, ``test_mode``, ...

    Raises:
        ConfigError: A ValueError. An unknown split, or a size below 8.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"classes": tuple(str(digit) for digit in range(10))}

    def __init__(self, split: str = "train", size: int = 16, **kwargs: Any) -> None:
        if split not in ("train", "test"):
            raise ConfigError(f"Digits: split is {split!r}; choose 'train' or 'test'.")
        if size < 8:
            raise ConfigError(f"Digits: size is {size}; the scans have 8 pixels, choose 8 or more.")
        self.split = split
        self.size = size
        kwargs.setdefault("ann_file", "")
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Take this split's images, in scikit-learn's order."""
        digits = load_digits()
        train, test = train_test_split(
            np.arange(len(digits.target)),
            test_size=TEST_IMAGES,
            stratify=digits.target,
            random_state=SPLIT_SEED,
        )
        chosen = np.sort(train if self.split == "train" else test)
        shape = (self.size, self.size)
        return [
            {
                "img": self._render(digits.images[i]),
                "gt_label": int(digits.target[i]),
                "img_shape": shape,
                "ori_shape": shape,
            }
            for i in chosen
        ]

    def _render(self, scan: np.ndarray) -> np.ndarray:
        """Scan (8, 8) in [0, 16] to (size, size, 3) uint8."""
        image = scan.astype(np.float32) * (255 / MAX_LEVEL)
        if self.size != len(scan):
            image = mmcv.imresize(image, (self.size, self.size), interpolation="bicubic")
        # Bicubic weights overshoot at edges of ink.
        gray = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=2)

    def extra_repr(self) -> list[str]:
        """Lines that ``repr`` adds: there are no files to name."""
        return [f"Split: \t{self.split}", f"Size: \t{self.size}"]
