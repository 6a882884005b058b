"""Tiny ImageNet from its published folder, the validation images with their list of labels."""

import os
from pathlib import Path
from typing import Any

from mixssl.datasets.published import Published, by_turns, images_in
from mixssl.registry import DATASETS
from mixssl.utils.errors import ConfigError


@DATASETS.register_module()
class TinyImageNet(Published):
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

    splits = ("train", "val", "test")
    base_folder = "tiny-imagenet-200"
    content = "wnids.txt, words.txt, train/, val/ and test/"

    def load_data_list(self) -> list[dict[str, Any]]:
        """Paths and labels; the images are read when asked for."""
        wnids = sorted(Path(self.file("wnids.txt")).read_text().split())
        self._metainfo.setdefault("classes", self._names(wnids))
        self._metainfo["wnids"] = tuple(wnids)
        labels = {wnid: label for label, wnid in enumerate(wnids)}
        if self.split == "train":
            found = by_turns({labels[wnid]: self.file(f"train/{wnid}/images") for wnid in wnids})
        elif self.split == "val":
            found = self._validation(labels)
        else:
            found = [{"img_path": path} for path in images_in(self.file("test/images"))]
        if not found:
            raise ConfigError(
                f"TinyImageNet: no image of {self.split!r} in {self.data_root!r}; unpack the published archive again."
            )
        return found

    def _names(self, wnids: list[str]) -> tuple[str, ...]:
        """First name of each class."""
        lines = Path(self.file("words.txt")).read_text().splitlines()
        words = dict(line.split("\t", 1) for line in lines if "\t" in line)
        return tuple(words.get(wnid, wnid).split(",")[0].strip() for wnid in wnids)

    def _validation(self, labels: dict[str, int]) -> list[dict[str, Any]]:
        """In the order of the list: file, wnid, then a box that nobody reads here."""
        folder, samples = self.file("val/images"), []
        for line in Path(self.file("val/val_annotations.txt")).read_text().splitlines():
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
