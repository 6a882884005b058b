"""Tar shards as WebDataset writes them: files of one name before the first dot are one sample."""

import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mixssl.datasets.sources.base import SUFFIXES, Names, Source
from mixssl.utils.errors import ConfigError


class ShardSource(Source):
    """Images in uncompressed tar files, read at their place: shards are scanned once, and nothing is unpacked.

    A label is the number in the sample's ``.cls``, where all samples have one.

    Args:
        shards: The files.
    """

    def __init__(self, shards: list[Path]) -> None:
        self.shards = shards
        places: list[tuple[int, int, int]] = []
        labels: dict[str, int] = {}

        def names() -> Iterator[str]:
            for number, shard in enumerate(shards):
                for name, key, start, size, label in _members(shard):
                    if label is not None:
                        labels[f"{number}/{key}"] = label
                    else:
                        places.append((number, start, size))
                        yield f"{shard.name}/{name}"

        self.names = Names(names())
        self._places = np.array(places, dtype=np.int64).reshape(-1, 3)
        keys = (
            f"{n}/{_key(name.split('/', 1)[1])}"
            for n, name in zip(self._places[:, 0], self.names, strict=True)
        )
        found = [labels.get(key, -1) for key in keys] if labels else [-1]
        if min(found, default=-1) >= 0:
            self.labels = np.array(found, dtype=np.int64)
            self.classes = [str(i) for i in range(max(found) + 1)]
        self._open: dict[tuple[int, int], BinaryIO] = {}

    def read(self, i: int) -> bytes:
        """The member."""
        number, start, size = self._places[i].tolist()
        key = (os.getpid(), number)  # a forked process must not share the place in a file
        if key not in self._open:
            if len(self._open) >= 64:
                self._open.pop(next(iter(self._open))).close()
            self._open[key] = self.shards[number].open("rb")
        file = self._open[key]
        file.seek(start)
        return file.read(size)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_open": {}}


def open_images(path: Path) -> ShardSource:
    """Opens a shard, a folder of shards or a name with braces."""
    return ShardSource(expand(path))


def expand(path: Path) -> list[Path]:
    """The shards that a path means.

    Raises:
        ConfigError: One is missing.
    """
    if path.is_dir():
        return sorted(path.glob("*.tar"))
    span = re.fullmatch(r"(.*)\{(\d+)\.\.(\d+)\}(.*)", os.fspath(path))
    if span is None:
        return [path]
    before, first, last, after = span.groups()
    shards = [
        Path(f"{before}{number:0{len(first)}d}{after}")
        for number in range(int(first), int(last) + 1)
    ]
    missing = [shard for shard in shards if not shard.is_file()]
    if missing or not shards:
        raise ConfigError(
            f"{path} means {len(shards)} shards, and {len(missing)} are missing, as {missing[:1]}"
        )
    return shards


def _members(shard: Path) -> Iterator[tuple[str, str, int, int, int | None]]:
    """Name, key, place and size of each image of a shard; and the label of each ``.cls``."""
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                suffix = os.path.splitext(member.name)[1].lower()
                if suffix == ".cls":
                    file = tar.extractfile(member)
                    assert file is not None
                    yield member.name, _key(member.name), 0, 0, int(file.read().decode())
                elif suffix in SUFFIXES:
                    yield member.name, _key(member.name), member.offset_data, member.size, None
    except (tarfile.TarError, ValueError) as error:
        raise ConfigError(
            f"{shard} can't be read as an uncompressed tar file of images ({error}): mend it, or leave it out"
        ) from error


def _key(name: str) -> str:
    """What the files of a sample share: the path up to the first dot of its last part."""
    folder, _, file = name.rpartition("/")
    return f"{folder}/{file.partition('.')[0]}"
