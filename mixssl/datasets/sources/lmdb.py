"""An LMDB: each key is a name, each value the bytes of an image."""

import os
from pathlib import Path
from typing import Any

from mixssl.datasets.sources.base import Names, Source, needs

META = frozenset((b"__keys__", b"__len__", b"length", b"num-samples"))
"""Keys that hold no image."""


class LmdbSource(Source):
    """Values of a database, opened once in each process that reads.

    Args:
        path: Folder with ``data.mdb``, or that file.
    """

    def __init__(self, path: Path) -> None:
        self._library = "lmdb"
        self.path = path
        self._opened: tuple[int, Any] = (-1, None)
        with self._environment().begin() as view:
            keys = view.cursor().iternext(keys=True, values=False)
            self.names = Names(os.fsdecode(bytes(key)) for key in keys if bytes(key) not in META)

    def read(self, i: int) -> bytes:
        """The value."""
        with self._environment().begin() as view:
            return bytes(view.get(os.fsencode(self.names[i])))

    def _environment(self) -> Any:
        """The database, opened in this process: one that was opened before a fork must not be used after it."""
        if self._opened[0] != os.getpid():
            library = needs("lmdb", "lmdb", f"{self.path}")
            opened = library.open(
                str(self.path),
                subdir=self.path.is_dir(),
                readonly=True,
                lock=False,
                readahead=False,
                meminit=False,
            )
            self._opened = (os.getpid(), opened)
        return self._opened[1]

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_opened": (-1, None)}


def open_images(path: Path) -> LmdbSource:
    """Opens a database."""
    return LmdbSource(path)
