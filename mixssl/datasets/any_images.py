"""Images from anywhere as a data set of mmpretrain's kind, in one number of channels and one unit."""

import csv
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from torch.utils.data import Dataset

from mixssl.datasets.sources import Source, decode, open_source
from mixssl.registry import DATASETS, TRANSFORMS
from mixssl.utils.errors import ConfigError

PARTS = ("all", "train", "held_back")
GRAY = (0.299, 0.587, 0.114)


@DATASETS.register_module()
class AnyImages(Dataset):
    """Images in a folder of any depth, a list, tar shards, parquet, an LMDB or a data set of Hugging Face's on disk.

    A sample starts the pipeline with ``img``, (H, W, C): BGR where there are three channels, as mmpretrain has it;
    uint8, or float32 in [0, 255] up to rounding where ``value_range`` is set; and with ``img_path``, ``img_shape``,
    ``ori_shape``, ``sample_idx``, and ``gt_label`` where the source has labels. Names lie in two arrays that data
    workers share, about 50 bytes an image.

    Args:
        source: Path, as :func:`~mixssl.datasets.sources.open_source` takes it, or the source.
        pipeline: Configs of steps after loading.
        channels: 1 to 16. Gray becomes three equal channels and colour becomes gray where that is asked for; other
            numbers don't fit each other.
        value_range: What becomes 0 and what becomes 255 of images of more than 8 bits; None scales their whole range
            to uint8.
        leave_out: A table (.csv) with the column "name": images that are not part of the data set.
        part: "all", "train" or "held_back".
        held_back: How many images "held_back" has; "train" has the rest.
        at_least: Shorter side that the pipeline needs: large JPEGs are decoded at a part of their size.

    Raises:
        ConfigError: Nothing to read, or an argument out of range; when an image is read, one that can't be, by name.
    """

    metainfo: Mapping[str, Any]

    def __init__(
        self,
        source: str | os.PathLike[str] | Source,
        pipeline: Sequence[Any] = (),
        channels: int = 3,
        value_range: Sequence[float] | None = None,
        leave_out: str | None = None,
        part: str = "all",
        held_back: int = 0,
        at_least: int | None = None,
    ) -> None:
        if part not in PARTS or not 1 <= channels <= 16:
            raise ConfigError(
                f"AnyImages: part is {part!r} and channels {channels}; choose one of {', '.join(PARTS)}, and 1 to 16"
            )
        if value_range is not None and not value_range[0] < value_range[1]:
            raise ConfigError(
                f"AnyImages: value_range is {tuple(value_range)}; the smaller goes first"
            )
        self.source = source if isinstance(source, Source) else open_source(source)
        self.channels, self.at_least = channels, at_least
        self.value_range = None if value_range is None else (value_range[0], value_range[1])
        self.rows = split(kept_rows(self.source, leave_out), part, held_back)
        if not len(self.rows):
            raise ConfigError(f"AnyImages: part {part!r} of {source} has no image: lower held_back")
        self.metainfo = {"classes": self.source.classes} if self.source.classes else {}
        steps = [TRANSFORMS.build(step) if isinstance(step, Mapping) else step for step in pipeline]
        self.pipeline = Compose(steps)

    def full_init(self) -> None:
        """Nothing is left to do; mmengine's runner asks."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Any:
        return self.pipeline(self.get_data_info(i))

    def get_data_info(self, i: int) -> dict[str, Any]:
        """What the pipeline starts from, pixels included."""
        i = range(len(self))[i]
        row = int(self.rows[i])
        name = self.source.names[row]
        try:
            pixels = decode(self.source.read(row), self.at_least).pixels
            image = in_units(pixels, self.channels, self.value_range)
        except Exception as error:  # decoders raise what they like
            raise ConfigError(
                f"{name} can't be read as an image: {' '.join(str(error).split())}: mend this file, or add it to the "
                "table that leave_out names"
            ) from error
        info: dict[str, Any] = {
            "img": image,
            "img_path": name,
            "img_shape": image.shape[:2],
            "ori_shape": image.shape[:2],
            "sample_idx": i,
        }
        if self.source.labels is not None:
            info["gt_label"] = int(self.source.labels[row])
        return info

    def get_gt_labels(self) -> np.ndarray:
        """Classes of all images, (N,)."""
        assert self.source.labels is not None
        return self.source.labels[self.rows]

    @property
    def CLASSES(self) -> Sequence[str] | None:  # noqa: N802 (mmpretrain's name)
        """Names of the classes, where there are any."""
        return self.source.classes


def kept_rows(source: Source, leave_out: str | None) -> np.ndarray:
    """Rows of a source that a table does not name, (M,), int64."""
    if leave_out is None or not os.path.isfile(leave_out):
        return np.arange(len(source))
    with open(leave_out, newline="", encoding="utf-8", errors="surrogateescape") as file:
        gone = {record["name"] for record in csv.DictReader(file)}
    if not gone:
        return np.arange(len(source))
    return np.array([i for i in range(len(source)) if source.names[i] not in gone], dtype=np.int64)


def split(rows: np.ndarray, part: str, held_back: int) -> np.ndarray:
    """Rows of a part, in order: those held back are drawn once and for all, whatever the seed of a run."""
    if part == "all":
        return rows
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)).numpy()
    chosen = order[:held_back] if part == "held_back" else order[held_back:]
    return rows[np.sort(chosen)]


def in_units(
    pixels: np.ndarray, channels: int, value_range: tuple[float, float] | None = None
) -> np.ndarray:
    """Pixels as they were stored, RGB, to the channels and the unit of a data set.

    Args:
        pixels: (H, W, C), any number.
        channels: Wanted; three come out as BGR.
        value_range: As in :class:`AnyImages`. Bytes count from 0 to 255 in any case.

    Returns:
        (H, W, channels), uint8, or float32 with a ``value_range``; not cut off at its ends.

    Raises:
        ValueError: Channels that don't fit, or numbers that are none.
    """
    found = pixels.shape[2]
    if found == 1 and channels == 3:
        pixels = np.repeat(pixels, 3, axis=2)
    elif found == 3 and channels == 1:
        pixels = (pixels @ np.array(GRAY, dtype=np.float32))[..., None].astype(pixels.dtype)
    elif found != channels:
        raise ValueError(f"it has {found} channels, and the data set {channels}")
    elif channels == 3:
        pixels = pixels[..., ::-1]
    deep = pixels.dtype != np.uint8
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ValueError("it holds NaN or infinity")
    if value_range is None:
        if deep:
            low, high = full_range(pixels.dtype)
            pixels = np.clip((pixels.astype(np.float32) - low) * (255 / (high - low)), 0, 255)
        return np.ascontiguousarray(pixels.astype(np.uint8))
    image = np.ascontiguousarray(pixels, dtype=np.float32)
    low, high = value_range
    return (image - low) * np.float32(255 / (high - low)) if deep else image


def full_range(dtype: np.dtype) -> tuple[float, float]:
    """Least and largest value of a dtype; 0 and 1 for floating point."""
    if dtype.kind == "f":
        return 0.0, 1.0
    info = np.iinfo(dtype)
    return float(info.min), float(info.max)
