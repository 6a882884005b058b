#!/usr/bin/env python
"""Writes docs/en/papers.md, every table of the four papers row by row: python docs/papers.py.

What was published, which config or command of ours stands for it, and what each config's recipe is: all that is data,
``configs/<paper>/paper.yml``. Our own figures are those of docs/en/results.csv that were trained in full. The test
suite holds the built configs to the data, and has every row take a step.
"""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.fileio import load

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"
PAGE = ROOT / "docs/en/papers.md"
RESULTS = ROOT / "docs/en/results.csv"
PAPERS = ("unmix", "mixco", "local_global", "amix")
EPOCHS = "train_cfg.max_epochs="
HEADINGS = ("row", "setting", "published", "ours", "units", "images", "status")


class Row(NamedTuple):
    """A row of a table in one of its settings.

    Attributes:
        paper: Its folder below configs/.
        table: Name of the table or figure.
        name: Of the row.
        setting: The column of the paper's table: encoder, data, length.
        published: The paper's figures as it prints them.
        config: Below configs/; None where nothing is trained for the row.
        options: Of --cfg-options, as a shell takes them.
        command: Another tool's, that makes the row of its checkpoint, or of nothing.
        refused: Why there is neither; None where there is.
        units: Of compute per step: a forward pass of the first view is 1, a backward pass 2.
    """

    paper: str
    table: str
    name: str
    setting: str
    published: str
    config: str | None
    options: tuple[str, ...]
    command: str | None
    refused: str | None
    units: float | None

    @property
    def images(self) -> float | None:
        """Images seen in training, in millions; None where the facts of the config have no such number."""
        known = facts(self.config) if self.config else {}
        lengths = [int(o.removeprefix(EPOCHS)) for o in self.options if o.startswith(EPOCHS)]
        epochs = lengths[-1] if lengths else known.get("epochs")
        return epochs * known["images"] / 1e6 if epochs and "images" in known else None

    @property
    def arguments(self) -> list[str]:
        """The options as a tool gets them from the shell."""
        return shlex.split(" ".join(self.options))

    @property
    def status(self) -> str:
        """One of "recipe", "command" and "refused"."""
        if self.refused:
            return "refused"
        return "recipe" if self.config and not self.options and not self.command else "command"


@cache
def paper(folder: str) -> dict[str, Any]:
    """The data of a paper, by its folder below configs/."""
    found: dict[str, Any] = load(CONFIGS / folder / "paper.yml")
    return found


@cache
def facts(config: str) -> dict[str, Any]:
    """What is known of a recipe, the later of its sets first; empty for a config of no paper."""
    sets = {name: part for folder in PAPERS for name, part in paper(folder)["facts"].items()}
    found: dict[str, Any] = {}
    for folder in PAPERS:
        for part in paper(folder)["recipes"].get(config, ()):
            found |= sets[part] if isinstance(part, str) else part
    found.pop("source", None)
    return found


def recipes() -> list[str]:
    """Configs whose facts are known, in the papers' order."""
    return [config for folder in PAPERS for config in paper(folder)["recipes"]]


def rows(folder: str) -> Iterator[Row]:
    """All rows of a paper, table by table."""
    for table in paper(folder)["tables"]:
        for line in table["rows"]:
            for column, published in _cells(table, line):
                yield _row(folder, table, line, column, published)


def _cells(table: Mapping[str, Any], line: Mapping[str, Any]) -> Iterator[tuple[Mapping, Any]]:
    """Settings of a row with what is published there; a setting without a figure is none."""
    columns = table.get("columns", [{"name": ""}])
    published = line["published"]
    cells = published if "columns" in table and published != DRAWN else [published] * len(columns)
    if len(cells) != len(columns):
        raise ValueError(
            f"{table['name']}, {line['name']}: {len(cells)} figures for {len(columns)} columns"
        )
    yield from (pair for pair in zip(columns, cells, strict=True) if pair[1] is not None)


DRAWN = "drawn"
"""Stands for a figure that a paper draws or prints as a picture, without a number in its text."""


def _row(
    folder: str, table: Mapping[str, Any], line: Mapping[str, Any], column: Mapping, published: Any
) -> Row:
    given = {**table, **column, **line}
    names = {key: value for key, value in given.items() if isinstance(value, str)}
    config = None if "refused" in line else given.get("config")
    options = f"{line.get('options', '')} {column.get('options', '')}"
    if config is not None:
        if "{encoder}" not in config:  # then the config has one encoder, and options make the other
            options += f" {column.get('encoder_options', '')}"
        config = config.format(**names)
    command = given.get("command")
    return Row(
        paper=folder,
        table=table["name"],
        name=line["name"],
        setting=column["name"],
        published=_printed(published, table.get("figures", [""])),
        config=config,
        options=tuple(options.split()) if config else (),
        command=command.format(**names | {"config": f"configs/{config}"}) if command else None,
        refused=line.get("refused"),
        units=given.get("units") if config else None,
    )


def _printed(published: Any, figures: Sequence[str]) -> str:
    """Figures as the paper prints them, each with its name where there are several."""
    if published == DRAWN:
        return DRAWN
    cells = published if isinstance(published, list) else [published]
    shown = [f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells]
    return ", ".join(f"{name} {cell}".strip() for name, cell in zip(figures, shown, strict=True))


@cache
def _results() -> list[dict[str, str]]:
    with RESULTS.open(newline="") as file:
        return list(csv.DictReader(file))


def ours(row: Row) -> str:
    """Our figures of a row that were trained as long as the paper trains; empty where there are none."""
    if row.config is None or row.images is None:
        return ""
    epochs = round(row.images * 1e6 / facts(row.config)["images"])
    same = (f"configs/{row.config}", "; ".join(row.arguments), str(epochs))
    return ", ".join(
        f"{record['column']} {record['value']}"
        for record in _results()
        if (record["config"], record["change"], record["epochs"]) == same
    )


def page() -> str:
    """The page of the documents."""
    counts: dict[str, int] = {}
    for folder in PAPERS:
        for row in rows(folder):
            counts[row.status] = counts.get(row.status, 0) + 1
    parts = [INTRODUCTION.format(total=sum(counts.values()), **counts)]
    for folder in PAPERS:
        known = paper(folder)
        parts.append(f"## {known['name']}\n\n[{known['title']}]({known['url']})")
        listed = list(rows(folder))
        for table in known["tables"]:
            own = [row for row in listed if row.table == table["name"]]
            parts += [f"### {table['name']}: {table['title']}", *_notes(table), _table(own)]
        parts.append(f"Without numbers: {known['without_numbers']}")
    return "\n\n".join(parts) + "\n"


INTRODUCTION = """# The papers, row by row

Written by `docs/papers.py`; don't edit. Every table of the four papers, and every figure with numbers: {total} rows.
**recipe**: a config ({recipe}). **command**: a config with options, or another tool ({command}). **refused**: neither,
and why ({refused}).

A row is trained by `python tools/train.py CONFIG --cfg-options OPTIONS`, or on several devices by
`bash tools/dist_train.sh CONFIG GPUS --cfg-options OPTIONS`; rows of a table that differ by an option are one
`tools/compare.py --sweep`. **published** is the paper's figure, in percent where nothing else is said; "drawn" is one
that the paper shows without a number in its text, and a question mark stands behind digits that its text leaves in
doubt. **ours** is a run as long as the paper's, of [results.csv](results.csv); empty where there is none. **units** of
compute per step: a forward pass of the first view is 1, a backward pass 2; a test counts them. **images** are those
seen in training, in millions. What each recipe is, from its views to its schedule, is in `configs/<paper>/paper.yml`
with these figures; tests hold the built configs to it."""


def _notes(table: Mapping[str, Any]) -> list[str]:
    judged = [f"Judged by {table['judge']}."] if "judge" in table else []
    note = " ".join([*judged, table.get("note", "").strip()]).strip()
    return [note] if note else []


def _table(own: Sequence[Row]) -> str:
    lines = ["| " + " | ".join(HEADINGS) + " |", "| :-- | :-- | --: | --: | --: | --: | :-- |"]
    for row in own:
        cells = (row.name, row.setting, row.published, ours(row), _number(row.units))
        lines.append("| " + " | ".join([*cells, _number(row.images), _how(row)]) + " |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _how(row: Row) -> str:
    if row.refused:
        return f"refused: {row.refused}"
    parts = [f"{row.status}:"]
    if row.config:
        parts.append(f"[{Path(row.config).stem}](../../configs/{row.config})")
    if row.options:
        parts.append(f"`{' '.join(row.options)}`")
    if row.command:
        parts.append(f"{'then ' if row.config else ''}`{row.command}`")
    return " ".join(parts)


def main() -> None:
    """Writes the page."""
    text = page()
    if not PAGE.exists() or PAGE.read_text() != text:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
