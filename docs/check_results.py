#!/usr/bin/env python
"""Holds the tables of figures in the documents to docs/en/results.csv: python docs/check_results.py.

A table of figures stands below a comment that names its rows in the file: ``<!-- results: NAME -->``. Its first column
says which row, its headings which column, and a cell must say what the file says there, to its last decimal. A table
below ``<!-- some results: NAME, NAME -->`` shows a choice of rows and columns, from the last table that has them, and
may put a paper's figures beside them, in columns that begin with "paper". The page of the study is held to its own
file, by docs/study.py.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

import study  # type: ignore[import-not-found]

from mixssl.cli.experiment import COLUMNS
from mixssl.cli.tool import run_tool
from mixssl.utils.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path("docs/en/results.csv")
PAGES = ("docs/en/results.md", "README.md")
"""The first one shows every table of the file and has no figure that is not in it."""

MARK = re.compile(r"<!-- (some )?results: (.+?) -->")
PUBLISHED = "paper"
"""How the heading of a column with a paper's figures begins."""
NUMBER = re.compile(r"[-+−]?\d+(?:[.,]\d+)*")
FIGURE = re.compile(r"(?:[-+−±\d.,%\s]|to)+")
"""A cell that holds figures and nothing else."""
EMPTY = {"", "–", "not run"}


class Table(NamedTuple):
    """A table of a page; ``names`` is empty for one without a mark, ``line`` is that of its headings, from 1."""

    names: list[str]
    whole: bool
    line: int
    headings: list[str]
    body: list[list[str]]

    def figures(self, row: list[str]) -> list[tuple[str, str]]:
        """Headings and cells that the file must agree with."""
        cells = list(zip(self.headings[1:], row[1:], strict=True))
        return [one for one in cells if self.whole or not one[0].startswith(PUBLISHED)]


def parse_args() -> argparse.Namespace:
    """Where to look."""
    parser = argparse.ArgumentParser(description="Hold tables in documents to results.csv.")
    parser.add_argument("--root", type=Path, default=ROOT, help="of the repository")
    return parser.parse_args()


def read_results(path: Path) -> list[dict[str, str]]:
    """The file's records.

    Raises:
        ConfigError: Other columns than those of a comparison.
    """
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        records = list(reader)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ConfigError(f"{path} has other columns than {', '.join(COLUMNS)}")
    return records


def tables_in(text: str) -> Iterator[Table]:
    """Tables of a page, in order."""
    lines, number, names, whole = text.splitlines(), 0, list[str](), True
    while number < len(lines):
        mark = MARK.fullmatch(lines[number].strip())
        if mark:
            names, whole = mark[2].split(", "), not mark[1]
        elif lines[number].startswith("|"):
            start = number
            while number < len(lines) and lines[number].startswith("|"):
                number += 1
            rows = [_cells(line) for line in lines[start:number]]
            yield Table(names, whole, start + 1, rows[0], rows[2:])
            names = []
            continue
        elif lines[number].strip():
            names = []
        number += 1


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]


def numbers(text: str) -> list[str]:
    """The numbers of a text as written, without a sign that says nothing."""
    return [
        number.replace("−", "-").replace(",", "").removeprefix("+")
        for number in NUMBER.findall(text)
    ]


def wrong_in(table: Table, records: Sequence[dict[str, str]]) -> Iterator[str]:
    """What a marked table and its records disagree about."""
    own = [record for name in table.names for record in records if record["table"] == name]
    found = {(record["row"], record["column"]): record for record in own}
    shown = set()
    for row in table.body:
        for heading, cell in zip(table.headings[1:], row[1:], strict=True):
            record = found.get((row[0], heading))
            if not table.whole and heading.startswith(PUBLISHED):
                continue
            said = f"{row[0]!r}, {heading!r} says {cell!r}"
            if heading in COLUMNS:
                fields = {one[heading] for one in own if one["row"] == row[0]}
                if fields != {cell}:
                    yield f"{said}, the file {' or '.join(sorted(fields)) or 'nothing'!r}"
            elif record is not None:
                shown.add((row[0], heading))
                expected = (
                    f"{record['value']} ± {record['std']}" if record["std"] else record["value"]
                )
                if numbers(cell) != numbers(expected):
                    yield f"{said}, the file {expected!r}"
            elif cell not in EMPTY and FIGURE.fullmatch(cell):
                yield f"{said}, the file nothing"
    for key in found.keys() - shown if table.whole else ():
        yield f"{key[0]!r}, {key[1]!r} is in the file and not in the table"


def check(root: Path) -> list[str]:
    """Everything that is wrong, one line each."""
    records = read_results(root / RESULTS)
    wrong = [
        f"{RESULTS}: {record['table']!r}, {record['row']!r} names {record['config']}, which is gone"
        for record in records
        if record["config"] and not (root / record["config"]).is_file()
    ]
    places = [(r["table"], r["row"], r["column"]) for r in records]
    wrong += [
        f"{RESULTS}: {place} is there twice" for place in set(places) if places.count(place) > 1
    ]
    shown = set[str]()
    known = {record["table"] for record in records}
    for page in PAGES:
        for table in tables_in((root / page).read_text()):
            here = f"{page}, line {table.line}"
            unknown = set(table.names) - known
            if unknown:
                wrong.append(f"{here}: no row of the file is of the table {unknown.pop()!r}")
            elif table.names:
                wrong += [f"{here}: {line}" for line in sorted(wrong_in(table, records))]
                shown.update(table.names if table.whole else ())
            elif page == PAGES[0] and any(
                numbers(cell) and FIGURE.fullmatch(cell) for row in table.body for cell in row
            ):
                wrong.append(f"{here}: figures, and no <!-- results: NAME --> above them")
    wrong += study.check(root) if (root / study.PAGE).is_file() else []
    return wrong + [
        f"{RESULTS}: no page shows the table {name!r}" for name in sorted(known - shown)
    ]


def main() -> None:
    """Says what is wrong, and ends with the exit code 1 if anything is."""
    wrong = check(parse_args().root)
    if wrong:
        sys.stderr.write("\n".join(wrong) + "\n")
        raise SystemExit(1)
    print(f"the tables of {' and '.join(PAGES)} say what {RESULTS} says")


if __name__ == "__main__":
    sys.exit(run_tool(main, "check_results.py"))
