"""What a source of images is, and which reader a path asks for."""

import importlib
import os
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from mixssl.utils.errors import ConfigError

SUFFIXES = frozenset(
    [
        ".bmp",
        ".gif",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".npy",
        ".pbm",
        ".pgm",
        ".png",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    ]
)
"""Endings of images, in lower case."""


class Names(Sequence[str]):
    """Many short texts in two arrays: a million paths of 40 bytes take 48 MB, where a list of strings takes 100.

    Data workers share them with the main process, for no reference counts lie between them.

    Args:
        names: Read once, one by one.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        text, ends = bytearray(), array("q", [0])
        for name in names:
            text += os.fsencode(name)
            ends.append(len(text))
        self._text = np.frombuffer(text, dtype=np.uint8)
        self._ends = np.frombuffer(ends, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, i):  # type: ignore[no-untyped-def]  # no slices
        if not 0 <= i < len(self):
            raise IndexError(i)
        start, end = self._ends[i : i + 2]
        return os.fsdecode(self._text[start:end].tobytes())


class Source(ABC):
    """Images by their place, not decoded.

    Attributes:
        names: What each image is called: unique, the same each time, and known to who made the data.
        labels: Class of each image, (N,), int64, or None.
        classes: Names of the classes, or None.
    """

    names: Sequence[str]
    labels: np.ndarray | None = None
    classes: Sequence[str] | None = None

    @abstractmethod
    def read(self, i: int) -> bytes:
        """The bytes of a file, encoded as it is; raises what the system raises."""

    def __len__(self) -> int:
        return len(self.names)


def open_source(path: str | os.PathLike[str]) -> Source:
    """Opens images wherever they are.

    Args:
        path: A folder of any depth; a list of files (.txt, .csv, .tsv, .jsonl, .parquet), or a .parquet that holds the
            images; a data set saved by Hugging Face's ``save_to_disk``; tar shards (a file, a folder of them, or
            ``name-{000..127}.tar``); an LMDB.

    Raises:
        ConfigError: There is nothing there, or no image in it, or the package that reads it is missing.
    """
    given = os.fspath(path)
    place = Path(given).expanduser()
    kind = _kind(place, given)
    module = importlib.import_module(f"mixssl.datasets.sources.{kind}")
    source: Source = module.open_images(place)
    if not len(source):
        raise ConfigError(
            f"there is no image in {given!r}: name a folder, a list of files, tar shards, a parquet file, an LMDB or a "
            f"data set saved by Hugging Face's save_to_disk; images end in {', '.join(sorted(SUFFIXES))}"
        )
    return source


def _kind(place: Path, given: str) -> str:
    """Name of the module that reads a path."""
    if place.suffix == ".tar" and "{" in given:
        return "shards"
    if not place.exists():
        raise ConfigError(f"there is nothing at {given!r}: name a folder or a file with images")
    if place.is_file():
        kinds = {".tar": "shards", ".parquet": "arrow", ".mdb": "lmdb"}
        lists = dict.fromkeys((".txt", ".csv", ".tsv", ".jsonl"), "listing")
        kind = (kinds | lists).get(place.suffix.lower())
        if kind is None:
            raise ConfigError(
                f"{given!r} is neither a folder nor one of .txt, .csv, .tsv, .jsonl, .parquet, .tar and .mdb: name "
                "what holds the images"
            )
        return kind
    if (place / "data.mdb").is_file():
        return "lmdb"
    names = [entry.name for entry in _first(os.scandir(place), 1000)]
    if "dataset_info.json" in names or any(name.endswith(".parquet") for name in names):
        return "arrow"
    if any(name.endswith(".tar") for name in names):
        return "shards"
    return "folder"


def _first(entries: Iterable[os.DirEntry[str]], most: int) -> Iterator[os.DirEntry[str]]:
    for _, entry in zip(range(most), entries, strict=False):
        yield entry


def needs(module: str, package: str, what: str) -> ModuleType:
    """Imports an optional package.

    Raises:
        ConfigError: It is missing; the line says how to get it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{what} is read by {package}, which is missing: pip install {package}, or pip install 'mixssl[images]'"
        ) from error
