"""Parquet files, and data sets that Hugging Face's ``save_to_disk`` wrote: images inside, or paths to them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mixssl.datasets.sources.base import Source, needs
from mixssl.datasets.sources.listing import LABELS, PATHS, ListSource, first_of
from mixssl.utils.errors import ConfigError

IMAGES = ("image", "img", "jpg", "png", "bytes")
"""Columns that hold images."""


class ArrowSource(Source):
    """Images in the cells of a table: bytes, or Hugging Face's struct of bytes and path.

    The table is mapped from the disk where it is Arrow's own format; a parquet file is read row group by row group,
    and the latest one is kept.

    Args:
        blocks: Each knows how many rows it has and loads them: (rows, load).
        column: Of the images.
        names: Of the images; None numbers them.
        labels: One per row, or None.
        classes: Their names.
    """

    def __init__(
        self,
        blocks: list[tuple[int, Any]],
        column: str,
        labels: np.ndarray | None = None,
        classes: list[str] | None = None,
    ) -> None:
        self._loads = [load for _, load in blocks]
        self._ends = np.cumsum([rows for rows, _ in blocks])
        self.column = column
        self.names = _Numbers(int(self._ends[-1]) if blocks else 0)
        self.labels, self.classes = labels, classes
        self._last: tuple[int, Any] = (-1, None)

    def read(self, i: int) -> bytes:
        """The cell."""
        block = int(np.searchsorted(self._ends, i, side="right"))
        if self._last[0] != block:
            self._last = (block, self._loads[block](self.column))
        row = i - (int(self._ends[block - 1]) if block else 0)
        value = self._last[1][row].as_py()
        if isinstance(value, dict):
            inside = value.get("bytes")
            if inside is None:  # a path of whoever made the file may lead anywhere
                raise ValueError("its cell holds no bytes, only a path")
            return bytes(inside)
        return bytes(value)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_last": (-1, None)}


class _Numbers(Sequence[str]):
    """Rows without names of their own: row-0, row-1, ..."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, i):  # type: ignore[no-untyped-def]  # no slices
        if not 0 <= i < self.rows:
            raise IndexError(i)
        return f"row-{i}"


def open_images(path: Path) -> Source:
    """Opens a .parquet, a folder of them, or a data set on disk."""
    needs("pyarrow", "pyarrow", f"{path}")
    if path.is_dir() and (path / "dataset_info.json").is_file():
        files = sorted(path.glob("*.arrow"))
        return _of_tables(path, [_arrow_block(file) for file in files], _features(path))
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    return _of_tables(path, [block for file in files for block in _parquet_blocks(file)], {})


class _Load:
    """Loads a column of a block; can be pickled, so that data workers have it."""

    def __init__(self, file: Path, group: int | None) -> None:
        self.file, self.group = file, group

    def __call__(self, column: str) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self.group is None:
            return pa.ipc.open_stream(pa.memory_map(str(self.file))).read_all()[column]
        return pq.ParquetFile(self.file).read_row_group(self.group, columns=[column])[column]


def _arrow_block(file: Path) -> tuple[int, list[str], _Load]:
    import pyarrow as pa

    table = pa.ipc.open_stream(pa.memory_map(str(file))).read_all()
    return table.num_rows, table.column_names, _Load(file, None)


def _parquet_blocks(file: Path) -> list[tuple[int, list[str], _Load]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file)
    except pa.ArrowException as error:
        raise ConfigError(
            f"{file} is no whole parquet file ({error}): mend it, or leave it out"
        ) from error
    return [
        (parquet.metadata.row_group(group).num_rows, parquet.schema_arrow.names, _Load(file, group))
        for group in range(parquet.num_row_groups)
    ]


def _features(path: Path) -> dict[str, Any]:
    """What Hugging Face notes about the columns."""
    import json

    found: dict[str, Any] = (
        json.loads((path / "dataset_info.json").read_text()).get("features") or {}
    )
    return found


def _of_tables(
    path: Path, blocks: list[tuple[int, list[str], _Load]], features: dict[str, Any]
) -> Source:
    """Finds out whether the cells hold images or paths, and where the labels are."""
    names = blocks[0][1] if blocks else []
    column, paths = first_of(names, IMAGES), first_of(names, PATHS)
    label = first_of(names, LABELS)
    column = column or paths
    if blocks and column is None:
        raise ConfigError(
            f"{path} has the columns {', '.join(names)}, and none of them is one of {', '.join([*IMAGES, *PATHS])}: "
            "name the column of the images so"
        )
    labels = (
        [value for _, _, load in blocks for value in load(label).to_pylist()] if label else None
    )
    if blocks and column is not None:
        first = next((row.as_py() for row in blocks[0][2](column)), None)
        if isinstance(first, str):
            cells = (value for _, _, load in blocks for value in load(column).to_pylist())
            return ListSource(
                path.parent, zip(cells, labels or iter(lambda: None, 0), strict=False)
            )
    known, classes = None, None
    if labels and all(isinstance(value, int) for value in labels):
        known = np.array(labels, dtype=np.int64)
        noted = (features.get(str(label)) or {}).get("names")
        classes = noted or [str(i) for i in range(int(known.max()) + 1)]
    return ArrowSource([(rows, load) for rows, _, load in blocks], column or "", known, classes)
