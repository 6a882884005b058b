"""STL-10 from its published binary files, which are mapped into memory and not read as a whole."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from mmpretrain.datasets import BaseDataset

from mixssl.datasets.files import require_files, require_root
from mixssl.registry import DATASETS
from mixssl.utils.errors import ConfigError

__all__ = ["STL10"]

SIZE = 96
PARTS = {
    "train": ("train",),
    "test": ("test",),
    "unlabeled": ("unlabeled",),
    "train+unlabeled": ("train", "unlabeled"),
}
"""Which files a split is read from."""


@DATASETS.register_module()
class STL10(BaseDataset):
    """STL-10: images of 96x96 pixels in 10 classes, 5,000 to train on, 8,000 to test on, 100,000 without a label.

    Reads ``<data_root>/stl10_binary/{train,test,unlabeled}_X.bin`` and ``{train,test}_y.bin`` as published, or the same
    files in ``<data_root>`` itself. The 2.8 GB of unlabelled images stay on disk until they are asked for. A sample has
    ``img`` (96, 96, 3), uint8, BGR, as mmpretrain's transforms take it, ``img_shape``, ``ori_shape``, ``sample_idx``
    and, where there is one, ``gt_label`` in [0, 9]; the files count from 1. A pipeline starts without a loading step;
    give the data preprocessor ``to_rgb=True``.

    Args:
        data_root: Folder that holds ``stl10_binary``, or the files.
        split: "train", "test", "unlabeled" or "train+unlabeled".
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``: ``pipeline``, ``indices``, ...

    Raises:
        ConfigError: A ValueError. An unknown split, no root, or files that are missing or cut off.
    """

    METAINFO: ClassVar[dict[str, Any]] = {
        "classes": (
            "airplane",
            "bird",
            "car",
            "cat",
            "deer",
            "dog",
            "horse",
            "monkey",
            "ship",
            "truck",
        )
    }
    base_folder = "stl10_binary"

    def __init__(self, data_root: str = "", split: str = "train", **kwargs: Any) -> None:
        if split not in PARTS:
            known = ", ".join(map(repr, PARTS))
            raise ConfigError(f"STL10: split is {split!r}; choose one of {known}.")
        require_root(self, data_root)
        self.split = split
        self._maps: dict[str, np.ndarray] = {}
        kwargs.setdefault("ann_file", "")
        super().__init__(data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Number the images of this split; the pixels are read when asked for."""
        samples: list[dict[str, Any]] = []
        for part in PARTS[self.split]:
            number = len(self._pixels(part))
            samples += [
                {"part": part, "row": row, "img_shape": (SIZE, SIZE), "ori_shape": (SIZE, SIZE)}
                for row in range(number)
            ]
            if part != "unlabeled":
                for sample, label in zip(samples[-number:], self._labels(part), strict=True):
                    sample["gt_label"] = int(label)
        return samples

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The sample with its pixels."""
        info: dict[str, Any] = super().get_data_info(idx)
        planes = self._pixels(info.pop("part"))[info.pop("row")]
        # The file holds red, green, blue, each column by column.
        info["img"] = np.ascontiguousarray(planes.transpose(2, 1, 0)[..., ::-1])
        return info

    def __getstate__(self) -> dict[str, Any]:
        """Without the maps: copied into a worker they would be all their pixels, and each worker maps for itself."""
        return self.__dict__ | {"_maps": {}}

    def extra_repr(self) -> list[str]:
        """Lines that ``repr`` adds."""
        return [f"Split: \t{self.split}", f"Root: \t{self.data_root}"]

    def _file(self, name: str) -> str:
        """Path of one of the files."""
        (path,) = require_files(
            self,
            self.data_root,
            [name],
            folder=self.base_folder,
            whole=f"{self.base_folder}/ with {{train,test,unlabeled}}_X.bin and {{train,test}}_y.bin as published",
        )
        return path

    def _pixels(self, part: str) -> np.ndarray:
        """Images of a file, (N, 3, 96, 96), channel, column, row."""
        if part not in self._maps:
            path = self._file(f"{part}_X.bin")
            flat = np.memmap(path, dtype=np.uint8, mode="r")
            if flat.size == 0 or flat.size % (3 * SIZE * SIZE):
                raise ConfigError(
                    f"STL10: {path!r} has {flat.size} bytes and should hold whole images of {3 * SIZE * SIZE}; "
                    "it is cut off: fetch it again."
                )
            self._maps[part] = flat.reshape(-1, 3, SIZE, SIZE)
        return self._maps[part]

    def _labels(self, part: str) -> np.ndarray:
        """Labels of a file, from 0."""
        path = self._file(f"{part}_y.bin")
        labels = np.fromfile(path, dtype=np.uint8).astype(int) - 1
        images = len(self._pixels(part))
        if len(labels) != images or labels.min() < 0 or labels.max() > 9:
            raise ConfigError(
                f"STL10: {path!r} should hold {images} labels from 1 to 10, one for each image; "
                "it is damaged: fetch it again."
            )
        return labels
