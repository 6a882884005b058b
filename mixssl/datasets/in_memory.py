"""Images that are decoded once and then lie in memory."""

import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import Compose
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import Dataset

from mixssl.datasets.named_failures import name_unreadable
from mixssl.datasets.transforms import PackImages
from mixssl.registry import DATASETS, TRANSFORMS
from mixssl.utils.errors import ConfigError
from mixssl.utils.memory import available_bytes, readable_size

SHARE = 0.8
"""Of the memory there is, how much images may take unless told otherwise: training needs some as well."""


AT_A_TIME = 256
"""Images that a thread decodes before it takes the next ones."""


class _Block:
    """Decoded images in one block, and what else is known about each, as bytes.

    Both are torch tensors: a worker that is forked reads the same pages, one that is spawned the same shared memory,
    and no reference counts lie between the pixels.
    """

    def __init__(
        self, name: str, number: int, shape: tuple[int, ...], decode: Callable[[int], dict]
    ) -> None:
        self.images = torch.empty(number, *shape, dtype=torch.uint8)

        def fill(i: int) -> bytes:
            info = decode(i)
            image = info.pop("img")
            if image.shape != shape or image.dtype != np.uint8:
                raise ConfigError(
                    f"InMemory: image {i} of {name} is {image.shape} of {image.dtype} and the first {shape}; all must "
                    "be uint8 of one size: give steps that make it so, such as prepare=[dict(type='ResizeEdge', "
                    "scale=256), dict(type='CenterCrop', crop_size=256)]"
                )
            self.images[i] = torch.from_numpy(np.ascontiguousarray(image))
            return pickle.dumps(info, protocol=pickle.HIGHEST_PROTOCOL)

        def fill_some(start: int) -> list[bytes]:
            return [fill(i) for i in range(start, min(start + AT_A_TIME, number))]

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            parts = pool.map(fill_some, range(0, number, AT_A_TIME))
            packed = [info for part in parts for info in part]
        self.ends = torch.tensor([len(part) for part in packed]).cumsum(0)
        self.packed = torch.frombuffer(bytearray(b"".join(packed)), dtype=torch.uint8)

    def info(self, i: int) -> dict[str, Any]:
        """What is known about an image besides its pixels."""
        start = int(self.ends[i - 1]) if i else 0
        info: dict[str, Any] = pickle.loads(
            self.packed[start : int(self.ends[i])].numpy().tobytes()
        )
        return info


_BLOCKS: WeakValueDictionary[str, _Block] = WeakValueDictionary()
"""Blocks in use, by what they were decoded from: training and a k-NN bank on the same images share one."""


@DATASETS.register_module()
class InMemory(Dataset):
    """Another data set's images, decoded once and held in memory as uint8, with that data set's pipeline.

    The leading ``LoadImageFromFile`` of the pipeline and the steps in ``prepare`` are done once; what follows is done
    each time, on a copy. A sample starts the pipeline as the data set itself would: ``img`` (H, W, C), labels,
    ``img_shape``, ``sample_idx``. Data workers share the pixels with the main process; data sets of one process that
    differ in the pipeline alone share them too. How much they take is logged.

    Args:
        dataset: Config of the data set, or the data set: images with ``get_data_info`` and a ``pipeline``, as
            mmpretrain's have; not a wrapper such as ConcatDataset, inside of which this one goes.
        prepare: Configs of steps without randomness after loading, for images of different sizes: for instance
            ``[dict(type='ResizeEdge', scale=256), dict(type='CenterCrop', crop_size=256)]``.
        max_bytes: Most that the pixels may take; None for four fifths of what machine and container have left.

    Raises:
        ConfigError: A ValueError. No images, images of different sizes or not of uint8, or too many of them.
    """

    def __init__(
        self,
        dataset: Mapping[str, Any] | Any,
        prepare: Sequence[Mapping[str, Any]] = (),
        max_bytes: float | None = None,
    ) -> None:
        inner = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
        self._name = type(inner).__name__
        if not hasattr(inner, "get_data_info") or not hasattr(inner, "pipeline"):
            raise ConfigError(
                f"InMemory: {self._name} has no get_data_info and pipeline of its own; put the data sets that it wraps "
                "into InMemory, one by one"
            )
        self.dataset = inner
        inner.full_init()  # it may change the pipeline
        self.metainfo: dict[str, Any] = inner.metainfo
        steps = inner.pipeline.transforms
        loading = list(takewhile(lambda step: isinstance(step, LoadImageFromFile), steps))
        self.pipeline = Compose(steps[len(loading) :])
        self._max_bytes = max_bytes
        name_unreadable(loading)
        decode = Compose([*loading, *map(TRANSFORMS.build, prepare)])
        key = None
        if isinstance(dataset, Mapping):
            source = {name: value for name, value in dataset.items() if name != "pipeline"}
            key = repr((sorted(source.items(), key=str), loading, list(prepare)))
        self._block = self._find_or_make(inner, decode, key)

    def _find_or_make(self, inner: Any, decode: Compose, key: str | None) -> _Block:
        """The block of the same images, if it is in memory, or a new one."""
        block = _BLOCKS.get(key) if key else None
        if block is not None:
            print_log(f"InMemory: {self._name} shares the images decoded before.", logger="current")
            return block
        number = len(inner)
        if not number:
            raise ConfigError(f"InMemory: {self._name} holds no image; name the folder that does")

        def load(i: int) -> dict[str, Any]:
            loaded: dict[str, Any] = decode(inner.get_data_info(i))
            return loaded

        first = load(0)["img"]
        self._check_size(number, first)
        block = _Block(self._name, number, first.shape, load)
        height, width, *_ = block.images.shape[1:]
        print_log(
            f"InMemory: {self._name}, {number} images of {height}x{width}, decoded: "
            f"{readable_size(block.images.numel())} in this process, shared with its data workers.",
            logger="current",
        )
        if key:
            _BLOCKS[key] = block
        return block

    def _check_size(self, number: int, image: np.ndarray) -> None:
        """Raises before anything is decoded that would not fit."""
        wanted, there = number * image.size, available_bytes()
        limit = SHARE * there if self._max_bytes is None else self._max_bytes
        if wanted > limit:
            why = (
                f"of the {readable_size(there)} of memory left it takes at most {SHARE:.0%}"
                if self._max_bytes is None
                else f"max_bytes is {readable_size(limit)}"
            )
            raise ConfigError(
                f"InMemory: {self._name} would take {readable_size(wanted)} ({number} images of shape {image.shape}), "
                f"and {why}: read it from disk, without InMemory, or make the images smaller with prepare=[...]"
            )

    def full_init(self) -> None:
        """Nothing is left to do; mmengine's runner asks."""

    @property
    def images(self) -> Tensor:
        """All pixels, (N, H, W, C), uint8, in the data set's order of channels; not to be written to."""
        return self._block.images

    def __len__(self) -> int:
        return len(self._block.images)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """What the pipeline starts from: a sample with a copy of its pixels."""
        idx = range(len(self))[idx]
        info = self._block.info(idx)
        info["img"] = self.images[idx].numpy().copy()
        return info

    def get_cat_ids(self, idx: int) -> list[int]:
        """Class of an image, in a list."""
        return [int(self._block.info(idx)["gt_label"])]

    def get_gt_labels(self) -> np.ndarray:
        """Classes of all images, (N,)."""
        return np.array([self._block.info(i)["gt_label"] for i in range(len(self))])

    @property
    def CLASSES(self) -> Sequence[str] | None:  # noqa: N802 (mmpretrain's name)
        """Names of the classes, where there are any."""
        return self.metainfo.get("classes")

    def __getitem__(self, idx: int) -> Any:
        return self.pipeline(self.get_data_info(idx))

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Several samples, for a data loader; where they are only packed, as one gather."""
        steps = self.pipeline.transforms
        if len(steps) == 1 and type(steps[0]) is PackImages and self.images.ndim == 4:
            chosen = self.images[torch.as_tensor(indices)]
            return [{"inputs": image} for image in chosen.permute(0, 3, 1, 2).contiguous()]
        return [self[i] for i in indices]
