"""Parts of labelled data sets, for learning from few labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import BaseDataset
from torch import Tensor
from torch.utils.data import Dataset

from mixssl.registry import DATASETS
from mixssl.utils.errors import ConfigError

__all__ = ["ClassBalancedSubset", "ListedSubset"]


class _Subset(Dataset):
    """Some samples of a data set, in its order; what the data set is asked for otherwise, it answers itself."""

    def __init__(self, whole: BaseDataset, indices: Sequence[int]) -> None:
        self.dataset = whole.get_subset(indices)

    @property
    def metainfo(self) -> dict[str, Any]:
        """Of the whole data set."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Nothing is left to be done."""

    def get_data_info(self, index: int) -> dict[str, Any]:
        """Annotation of a sample."""
        return self.dataset.get_data_info(index)

    def get_gt_labels(self) -> Any:
        """Labels of all samples, (N,)."""
        return self.dataset.get_gt_labels()

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]

    def __len__(self) -> int:
        return len(self.dataset)


@DATASETS.register_module()
class ClassBalancedSubset(_Subset):
    """The same share of the images of every class, at least one, drawn from a seed: the same draw on every machine.

    For one and ten percent of ImageNet use the published lists with ``ListedSubset``, so that figures compare.

    Args:
        dataset: A labelled data set, or its config.
        fraction: Share of each class's images, in (0, 1]; rounded to the nearest number.
        seed: Of the draw.

    Raises:
        ConfigError: A share out of range, or images without a label.
    """

    def __init__(self, dataset: dict | BaseDataset, fraction: float, seed: int = 0) -> None:
        if not 0 < fraction <= 1:
            raise ConfigError(
                f"ClassBalancedSubset: fraction is {fraction}; it must be above 0 and at most 1 (0.1 is ten percent)."
            )
        whole = _built(dataset)
        super().__init__(whole, _draw(_labels(whole), fraction, seed).tolist())


@DATASETS.register_module()
class ListedSubset(_Subset):
    """The images whose file names a text file lists, one a line.

    A line may have a folder before the name and anything after it, separated by white space; only the name counts, so
    lists of ImageNet's file names (``n01440764_10026.JPEG``) go with any layout of folders.

    Args:
        dataset: A data set whose samples have ``img_path``, or its config.
        list_file: The text file.

    Raises:
        ConfigError: No such file, or names in it that the data set doesn't have.
    """

    def __init__(self, dataset: dict | BaseDataset, list_file: str) -> None:
        path = Path(list_file)
        if not path.is_file():
            raise ConfigError(
                f"ListedSubset: there is no list {list_file!r}; give a text file with a file name in each line."
            )
        wanted = {
            Path(line.split()[0]).name for line in path.read_text().splitlines() if line.strip()
        }
        whole = _built(dataset)
        names = [
            Path(str(whole.get_data_info(i).get("img_path", ""))).name for i in range(len(whole))
        ]
        missing = wanted.difference(names)
        if missing or not wanted:
            what = f"names {min(missing)!r} ({len(missing)} such)" if missing else "is empty"
            raise ConfigError(
                f"ListedSubset: {list_file!r} {what}, and the data set has {len(whole)} images without it; give the "
                "list that belongs to the data set."
            )
        super().__init__(whole, [i for i, name in enumerate(names) if name in wanted])


def _built(dataset: dict | BaseDataset) -> BaseDataset:
    """A data set, read."""
    whole = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
    whole.full_init()
    return whole


def _labels(whole: BaseDataset) -> Tensor:
    """Labels (N,), int64."""
    found = [whole.get_data_info(i).get("gt_label") for i in range(len(whole))]
    if any(not isinstance(label, int) for label in found):
        raise ConfigError(
            f"ClassBalancedSubset: a sample of {type(whole).__name__} has no label, or several; take a labelled split."
        )
    return torch.tensor(found)


def _draw(labels: Tensor, fraction: float, seed: int) -> Tensor:
    """Indices in ascending order."""
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for label in labels.unique():
        own = (labels == label).nonzero()[:, 0]
        number = max(1, round(fraction * len(own)))
        chosen.append(own[torch.randperm(len(own), generator=generator)[:number]])
    return torch.cat(chosen).sort().values
