"""What data sets over published archives share: a split, and files that are there or named in one line."""

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from mmengine.fileio import join_path, list_dir_or_file
from mmpretrain.datasets import BaseDataset

from mixssl.utils.errors import ConfigError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm")


def require_root(dataset: Any, data_root: str) -> None:
    """Raises a ConfigError where no root was given."""
    if not data_root:
        raise ConfigError(
            f"{type(dataset).__name__}: no data_root given; name the folder that holds the data set."
        )


def images_in(folder: str) -> list[str]:
    """Paths of the images in a folder, sorted."""
    names = sorted(list_dir_or_file(folder, list_dir=False))
    return [join_path(folder, name) for name in names if name.lower().endswith(IMAGE_SUFFIXES)]


def by_turns(folders: Mapping[int, str]) -> list[dict[str, Any]]:
    """Samples from folders of classes, by label: the first image of every class, then the second.

    So a part by ``indices`` has all classes, and not the first alone.
    """
    turns = sorted(
        (turn, label, path)
        for label, folder in folders.items()
        for turn, path in enumerate(images_in(folder))
    )
    return [{"img_path": path, "gt_label": label} for _, label, path in turns]


class Published(BaseDataset):
    """A data set in the files of its published archive, in ``data_root`` or in the folder that they unpack to.

    Attributes:
        splits: What ``split`` may be.
        base_folder: Name of the folder in the archive.
        content: What it holds, in words.

    Args:
        data_root: Folder that holds ``base_folder``, or its content.
        split: Which part.
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``: ``pipeline``, ``indices``, ...

    Raises:
        ConfigError: A ValueError. An unknown split, or no root.
    """

    splits: ClassVar[tuple[str, ...]]
    base_folder: ClassVar[str]
    content: ClassVar[str]

    def __init__(self, data_root: str = "", split: str = "train", **kwargs: Any) -> None:
        if split not in self.splits:
            known = ", ".join(map(repr, self.splits))
            raise ConfigError(f"{type(self).__name__}: split is {split!r}; choose one of {known}.")
        require_root(self, data_root)
        self.split = split
        super().__init__(**{"ann_file": "", **kwargs, "data_root": data_root})

    def extra_repr(self) -> list[str]:
        """Lines that ``repr`` adds."""
        return [f"Split: \t{self.split}", f"Root: \t{self.data_root}"]

    def file(self, name: str) -> str:
        """Path of a file or folder of the archive.

        Raises:
            ConfigError: It is missing; what is expected, and the way out.
        """
        inner = os.path.join(self.data_root, self.base_folder)
        path = os.path.join(inner if os.path.isdir(inner) else self.data_root, name)
        if not os.path.exists(path):
            raise ConfigError(
                f"{type(self).__name__}: {path!r} is missing; expected {self.base_folder}/ with {self.content} as "
                "published. Unpack the published archive and set data_root to the folder it was unpacked in."
            )
        return path
