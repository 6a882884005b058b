"""Parts of labelled data sets, for learning from few labels: each is the data set itself with fewer images."""

from pathlib import Path

import torch
from mmengine.dataset import BaseDataset

from mixssl.registry import DATASETS
from mixssl.utils.errors import ConfigError


@DATASETS.register_module(name="ClassBalancedSubset")
def class_balanced_subset(
    dataset: dict | BaseDataset, fraction: float, seed: int = 0
) -> BaseDataset:
    """The same share of the images of every class, at least one, drawn from a seed: the same draw on every machine.

    For one and ten percent of ImageNet use the published lists with ``ListedSubset``, so that figures compare.

    Args:
        dataset: A labelled data set, or its config.
        fraction: Share of each class's images, in (0, 1]; rounded to the nearest number.
        seed: Of the draw.

    Raises:
        ConfigError: A share out of range, or images without a label.
    """
    if not 0 < fraction <= 1:
        raise ConfigError(
            f"ClassBalancedSubset: fraction is {fraction}; it must be above 0 and at most 1 (0.1 is ten percent)."
        )
    whole = _built(dataset)
    labels = _labels(whole, "ClassBalancedSubset")
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for label in labels.unique():
        own = (labels == label).nonzero()[:, 0]
        number = max(1, round(fraction * len(own)))
        chosen.append(own[torch.randperm(len(own), generator=generator)[:number]])
    return whole.get_subset(torch.cat(chosen).sort().values.tolist())


@DATASETS.register_module(name="ClassSlice")
def class_slice(
    dataset: dict | BaseDataset, start: int | None = None, stop: int | None = None
) -> BaseDataset:
    """Images ``[start:stop]`` of every class in the data set's order: no draw, and small sets lie in larger ones.

    ``stop=250`` takes the first 250 of each class, ``start=-300`` the last 300.

    Args:
        dataset: A labelled data set, or its config.
        start: As in Python's slices.
        stop: As in Python's slices.

    Raises:
        ConfigError: Images without a label, or a class of which nothing is left.
    """
    whole = _built(dataset)
    labels = _labels(whole, "ClassSlice")
    chosen = []
    for label in labels.unique().tolist():
        own = (labels == label).nonzero()[:, 0].tolist()[start:stop]
        if not own:
            raise ConfigError(
                f"ClassSlice: [{start}:{stop}] leaves no image of class {label}, which has {(labels == label).sum()}; "
                "take other ends"
            )
        chosen += own
    return whole.get_subset(sorted(chosen))


@DATASETS.register_module(name="ListedSubset")
def listed_subset(dataset: dict | BaseDataset, list_file: str) -> BaseDataset:
    """The images whose file names a text file lists, one a line.

    A line may have a folder before the name and anything after it, separated by white space; only the name counts, so
    lists of ImageNet's file names (``n01440764_10026.JPEG``) go with any layout of folders.

    Args:
        dataset: A data set whose samples have ``img_path``, or its config.
        list_file: The text file.

    Raises:
        ConfigError: No such file, or names in it that the data set doesn't have.
    """
    path = Path(list_file)
    if not path.is_file():
        raise ConfigError(
            f"ListedSubset: there is no list {list_file!r}; give a text file with a file name in each line."
        )
    lines = [line.split() for line in path.read_text().splitlines()]
    wanted = {Path(words[0]).name for words in lines if words}
    whole = _built(dataset)
    infos = (whole.get_data_info(i) for i in range(len(whole)))
    names = [Path(str(info.get("img_path", ""))).name for info in infos]
    missing = wanted.difference(names)
    if missing or not wanted:
        what = f"names {min(missing)!r} ({len(missing)} such)" if missing else "is empty"
        raise ConfigError(
            f"ListedSubset: {list_file!r} {what}, and the data set has {len(whole)} images without it; give the "
            "list that belongs to the data set."
        )
    return whole.get_subset([i for i, name in enumerate(names) if name in wanted])


def _built(dataset: dict | BaseDataset) -> BaseDataset:
    """A data set, read."""
    whole = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
    whole.full_init()
    return whole


def _labels(whole: BaseDataset, name: str) -> torch.Tensor:
    """The label of every image, (N,); a ConfigError in the name of a part where one has none."""
    found = [whole.get_data_info(i).get("gt_label") for i in range(len(whole))]
    if any(not isinstance(label, int) for label in found):
        raise ConfigError(
            f"{name}: a sample of {type(whole).__name__} has no label, or several; take a labelled split."
        )
    return torch.tensor(found)
