"""Everything that a comparison leaves behind: table, CSV, pictures and page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch

from mixssl.cli.experiment.arithmetic import Line
from mixssl.cli.experiment.page import write_page
from mixssl.cli.experiment.pictures import draw_pictures
from mixssl.cli.experiment.runs import Outcome
from mixssl.cli.experiment.tables import COLUMNS, markdown, records
from mixssl.cli.provenance import commit, machine
from mixssl.engine.whole_files import write_whole
from mixssl.evaluation import PROTOCOLS

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """What is said of a comparison beside its figures.

    Attributes:
        folder: Of the comparison; the files go there.
        root: The repository, for its commit.
        title: Of the page, and the name of the table in the CSV file.
        command: That makes it again.
        protocols: By which was judged.
        seeds: Of the runs.
        epochs: Of the runs.
        data: Config with the images to judge with; None for each row's own.
        with_baseline: Whether gains are over each row's own baseline, not over the first row.
        cost: How the cost of a step was had, in words; None if it was not.
    """

    folder: Path
    root: Path
    title: str
    command: str
    protocols: Sequence[str]
    seeds: Sequence[int]
    epochs: int
    data: str | None
    with_baseline: bool
    cost: str | None

    def write(self, lines: Sequence[Line], outcomes: Sequence[Outcome]) -> dict[str, Path]:
        """Writes all files and returns what each is, to its path."""
        titles = {name: PROTOCOLS[name].title for name in self.protocols}
        here, device = machine(), _device()
        notes = {
            "table": self.title,
            "data": self._data(lines),
            "device": device,
            "torch": str(here["torch"]).partition("+")[0],
        }
        rows = records(
            lines,
            self.protocols,
            titles,
            notes,
            {line.row.name: _commits(outcomes, line.row.name) for line in lines},
        )
        facts = {
            "command": self.command,
            "commit": f"{_commits(outcomes) or 'nothing'} (trained), {(commit(self.root) or 'unknown')[:7]} (page)",
            "seeds": " ".join(map(str, self.seeds)),
            "epochs": str(self.epochs),
            "images": notes["data"],
            "machine": f"{device}, {here['threads']} threads, {here['system']}",
            "versions": f"torch {here['torch']}, Python {here['python']}",
            "written": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        }
        files = {
            "table": self.folder / "table.md",
            "figures": self.folder / "results.csv",
            "page": self.folder / "report.html",
        }
        write_whole(markdown(lines, self.protocols).encode(), files["table"])
        write_whole(_csv(rows).encode(), files["figures"])
        pictures = draw_pictures(lines, outcomes, titles, self.folder)
        write_page(
            files["page"],
            self.title,
            facts,
            lines,
            outcomes,
            titles,
            pictures,
            self.explained(),
        )
        return files

    def explained(self) -> list[str]:
        """How to read the table."""
        over = (
            "the same config without its mixture" if self.with_baseline else "the first trained row"
        )
        text = [
            "Top-1 in percent, mean ± sample standard deviation over the seeds. A gain is over "
            f"{over}, seed by seed, after as many epochs, in points. Schedules are brought to the number of epochs; "
            "below, each row says what that changed. Probes have one fixed seed."
        ]
        if self.cost is None:
            return [*text, "Equal compute was not asked for (--equal-compute)."]
        return [
            *text,
            f"The cost is that of a training step over that of the same step without the mixture: {self.cost}. Equal "
            "compute: the baseline trained from scratch for cost × epochs, rounded, with its schedule at that length.",
        ]

    def _data(self, lines: Sequence[Line]) -> str:
        if self.data is not None:
            return Path(self.data).stem
        kinds = [line.row.cfg.train_dataloader.dataset.type for line in lines]
        return ", ".join(dict.fromkeys(str(kind).rsplit(".", 1)[-1] for kind in kinds))


def _commits(outcomes: Sequence[Outcome], row: str | None = None) -> str:
    """Those that trained a row, or any."""
    found = {outcome.commit[:7] for outcome in outcomes if row in (None, outcome.row)}
    return " ".join(sorted(found - {""}))


def _device() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{machine()['cores']} CPU cores"


def _csv(rows: Sequence[dict]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
