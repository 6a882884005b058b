"""STL-10 from its published binary files, which are mapped into memory and not read as a whole."""

from typing import Any, ClassVar

import numpy as np

from mixssl.datasets.published import Published
from mixssl.registry import DATASETS
from mixssl.utils.errors import ConfigError

SIZE = 96
CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
PARTS = {
    "train": ("train",),
    "test": ("test",),
    "unlabeled": ("unlabeled",),
    "train+unlabeled": ("train", "unlabeled"),
}
"""Which files a split is read from."""


@DATASETS.register_module()
class STL10(Published):
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

    METAINFO: ClassVar[dict[str, Any]] = {"classes": CLASSES}
    splits = tuple(PARTS)
    base_folder = "stl10_binary"
    content = "{train,test,unlabeled}_X.bin and {train,test}_y.bin"

    def __init__(self, data_root: str = "", split: str = "train", **kwargs: Any) -> None:
        self._maps: dict[str, np.ndarray] = {}
        super().__init__(data_root, split, **kwargs)

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

    def _pixels(self, part: str) -> np.ndarray:
        """Images of a file, (N, 3, 96, 96), channel, column, row."""
        if part not in self._maps:
            path = self.file(f"{part}_X.bin")
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
        path = self.file(f"{part}_y.bin")
        labels = np.fromfile(path, dtype=np.uint8).astype(int) - 1
        images = len(self._pixels(part))
        if len(labels) != images or labels.min() < 0 or labels.max() > 9:
            raise ConfigError(
                f"STL10: {path!r} should hold {images} labels from 1 to 10, one for each image; "
                "it is damaged: fetch it again."
            )
        return labels
