"""A list of files: a path on each line, or a column of them."""

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mixssl.datasets.sources.base import Names, Source
from mixssl.utils.errors import ConfigError

PATHS = ("path", "file_name", "filename", "file", "image", "image_path", "img_path")
"""Columns that hold paths, the first that is there counts."""
LABELS = ("label", "class", "gt_label", "target", "category")
"""Columns that hold classes."""


class ListSource(Source):
    """Files named by a list; what is not absolute starts from the list's folder.

    Args:
        root: The list's folder.
        rows: Path and label of each image; labels are texts or numbers, None for none.
    """

    def __init__(self, root: Path, rows: Iterable[tuple[str, Any]]) -> None:
        self.root = root
        labels: list[Any] = []

        def paths() -> Iterator[str]:
            for path, label in rows:
                labels.append(label)
                yield path

        self.names = Names(paths())
        if labels and None not in labels:
            self.classes = [str(name) for name in sorted(set(labels), key=_by_number)]
            index = {name: i for i, name in enumerate(self.classes)}
            self.labels = np.array([index[str(label)] for label in labels], dtype=np.int64)

    def read(self, i: int) -> bytes:
        """The file."""
        return (self.root / self.names[i]).read_bytes()


def open_images(path: Path) -> ListSource:
    """Opens a .txt, .csv, .tsv or .jsonl."""
    return ListSource(path.parent, _rows(path))


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    kind = path.suffix.lower()
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        if kind == ".txt":
            for line in file:
                if line.strip():
                    yield line.rstrip("\r\n"), None
            return
        if kind == ".jsonl":
            records: Iterable[Mapping[str, Any]] = (
                json.loads(line) for line in file if line.strip()
            )
        else:
            records = csv.DictReader(file, delimiter="\t" if kind == ".tsv" else ",")
        for record in records:
            column = first_of(record, PATHS)
            if column is None:
                raise ConfigError(
                    f"{path} has the columns {', '.join(map(str, record))}, and none of them is one of "
                    f"{', '.join(PATHS)}: name the column of the paths so"
                )
            label = first_of(record, LABELS)
            yield os.fspath(record[column]), None if label is None else record[label]


def first_of(columns: Iterable[str], known: Iterable[str]) -> str | None:
    """The first known name among columns."""
    there = set(columns)
    return next((name for name in known if name in there), None)


def _by_number(label: Any) -> tuple[int, float, str]:
    """Numbers by their size, before texts."""
    try:
        return 0, float(label), ""
    except ValueError:
        return 1, 0.0, str(label)
