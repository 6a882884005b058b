"""A folder of any depth. Folders right below it are classes where all images lie in two of them or more."""

import os
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mixssl.datasets.sources.base import SUFFIXES, Names, Source


class FolderSource(Source):
    """Files below a folder, by their path from there.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        classes: dict[
            str, int
        ] = {}  # in the order in which files come, which is that of their names
        labels = array("q")

        def names() -> Iterator[str]:
            for name in _files(root):
                top, inside, _ = name.partition("/")
                labels.append(classes.setdefault(top if inside else "", len(classes)))
                yield name

        self.names = Names(names())
        if len(classes) > 1 and "" not in classes:
            self.classes = list(classes)
            self.labels = np.frombuffer(labels, dtype=np.int64)

    def read(self, i: int) -> bytes:
        """The file."""
        return (self.root / self.names[i]).read_bytes()


def open_images(path: Path) -> FolderSource:
    """Opens a folder."""
    return FolderSource(path)


def _files(root: Path) -> Iterator[str]:
    """Images below a folder in the order of their names, hidden ones left out, links followed but not in circles."""
    seen = set()

    def below(folder: str, prefix: str) -> Iterator[str]:
        real = os.path.realpath(folder)
        if real in seen:
            return
        seen.add(real)
        with os.scandir(folder) as found:
            entries = sorted((entry.name, entry.is_dir()) for entry in found)
        for name, is_folder in entries:
            if name.startswith("."):
                continue
            if is_folder:
                yield from below(os.path.join(folder, name), f"{prefix}{name}/")
            elif os.path.splitext(name)[1].lower() in SUFFIXES:
                yield prefix + name

    return below(os.fspath(root), "")
