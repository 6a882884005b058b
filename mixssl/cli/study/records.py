"""What a study leaves behind: a record for each run, and one file with all figures."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixssl.utils.errors import ConfigError

FIRST = ("judged", "method", "mixture", "images", "seed", "settings", "epochs", "units", "compute")
LAST = ("seconds", "config", "device", "torch", "commit", "failure")


def columns(protocols: Sequence[str]) -> tuple[str, ...]:
    """Of results.csv: a row for each run and number of epochs, a column for each protocol.

    ``judged`` is "test" or "held out", ``compute`` the passes of an image up to there, ``seconds`` those of training.
    """
    return (*FIRST, *protocols, *LAST)


def read_rows(path: Path, protocols: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a results.csv, numbers as numbers, None where a figure is missing.

    Raises:
        ConfigError: Other columns.
    """
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        rows: list[dict[str, Any]] = list(reader)
    if tuple(reader.fieldnames or ()) != columns(protocols):
        raise ConfigError(f"{path} has other columns than {', '.join(columns(protocols))}")
    for row in rows:
        row |= {key: int(row[key]) for key in ("images", "seed")}
        row["epochs"] = int(row["epochs"]) if row["epochs"] else None
        row |= {key: float(row[key]) if row[key] else None for key in ("compute", *protocols)}
    return rows
