"""Tiny ImageNet from its published folder, the validation images with their list of labels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mmpretrain.datasets import BaseDataset

from mixssl.datasets.files import require_files, require_root
from mixssl.registry import DATASETS
from mixssl.utils.errors import ConfigError

__all__ = ["TinyImageNet"]

SPLITS = ("train", "val", "test")


@DATASETS.register_module()
class TinyImageNet(BaseDataset):
    """Tiny ImageNet: JPEG images of 64x64 pixels in 200 classes, 100,000 to train on, 10,000 to validate on.

    Reads ``<data_root>/tiny-imagenet-200/`` as published, or the same files in ``<data_root>`` itself:
    ``wnids.txt``, ``words.txt``, ``train/<wnid>/images/*.JPEG``, ``val/images`` with ``val/val_annotations.txt``, and
    ``test/images``, whose labels were never published. Classes are numbered in the order of their sorted wnids, as a
    reader of folders does it, which is not that of ``wnids.txt``; ``CLASSES`` are the first names in ``words.txt``, and
    ``metainfo["wnids"]`` has the wnids.

    A sample has ``img_path``, ``sample_idx`` and, but for "test", ``gt_label`` in [0, 199]: a pipeline starts with
    ``LoadImageFromFile``.

    Args:
        data_root: Folder that holds ``tiny-imagenet-200``, or its content.
        split: "train", "val" or "test".
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``: ``pipeline``, ``indices``, ...

    Raises:
        ConfigError: A ValueError. An unknown split, no root, or files that are missing or don't fit together.
    """

    base_folder = "tiny-imagenet-200"

    def __init__(self, data_root: str = "", split: str = "train", **kwargs: Any) -> None:
        if split not in SPLITS:
            raise ConfigError(
                f"TinyImageNet: split is {split!r}; choose one of {', '.join(map(repr, SPLITS))}."
            )
        require_root(self, data_root)
        self.split = split
        kwargs.setdefault("ann_file", "")
        super().__init__(data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Paths and labels; the images are read when asked for."""
        wnids = sorted(Path(self._find("wnids.txt")).read_text().split())
        self._metainfo.setdefault("classes", self._names(wnids))
        self._metainfo["wnids"] = tuple(wnids)
        labels = {wnid: label for label, wnid in enumerate(wnids)}
        found = {"train": self._train, "val": self._val, "test": self._test}[self.split](labels)
        if not found:
            raise ConfigError(
                f"TinyImageNet: no image of {self.split!r} in {self.data_root!r}; unpack the published archive again."
            )
        return found

    def extra_repr(self) -> list[str]:
        """Lines that ``repr`` adds."""
        return [f"Split: \t{self.split}", f"Root: \t{self.data_root}"]

    def _find(self, name: str) -> str:
        """Path of a file or folder of the archive."""
        (path,) = require_files(
            self,
            self.data_root,
            [name],
            folder=self.base_folder,
            whole=f"{self.base_folder}/ with wnids.txt, words.txt, train/, val/ and test/ as published",
        )
        return path

    def _names(self, wnids: list[str]) -> tuple[str, ...]:
        """First name of each class."""
        lines = Path(self._find("words.txt")).read_text().splitlines()
        words = dict(line.split("\t", 1) for line in lines if "\t" in line)
        return tuple(words.get(wnid, wnid).split(",")[0].strip() for wnid in wnids)

    def _train(self, labels: dict[str, int]) -> list[dict[str, Any]]:
        """The classes by turns, so that a part by ``indices`` has all of them."""
        turns = sorted(
            (turn, label, path)
            for wnid, label in labels.items()
            for turn, path in enumerate(_images(self._find(f"train/{wnid}/images")))
        )
        return [{"img_path": path, "gt_label": label} for _, label, path in turns]

    def _val(self, labels: dict[str, int]) -> list[dict[str, Any]]:
        """In the order of the list: file, wnid, then a box that nobody reads here."""
        folder, samples = self._find("val/images"), []
        for line in Path(self._find("val/val_annotations.txt")).read_text().splitlines():
            fields = line.split("\t")
            if len(fields) < 2 or fields[1] not in labels:
                raise ConfigError(
                    f"TinyImageNet: val_annotations.txt has the line {line!r}, which names no class of wnids.txt; "
                    "unpack the published archive again."
                )
            samples.append(
                {"img_path": os.path.join(folder, fields[0]), "gt_label": labels[fields[1]]}
            )
        return samples

    def _test(self, labels: dict[str, int]) -> list[dict[str, Any]]:
        """Without labels."""
        return [{"img_path": path} for path in _images(self._find("test/images"))]


def _images(folder: str) -> list[str]:
    """JPEG files of a folder, sorted."""
    return sorted(
        os.path.join(folder, name)
        for name in os.listdir(folder)
        if name.lower().endswith((".jpeg", ".jpg"))
    )
