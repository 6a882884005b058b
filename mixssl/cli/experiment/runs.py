"""The runs of a comparison, each in processes of its own: what is finished is never done again."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixssl.cli.experiment.processes import LOG, call, last_line
from mixssl.cli.experiment.rows import Row
from mixssl.cli.provenance import commit, machine
from mixssl.engine.whole_files import write_whole
from mixssl.utils.errors import ConfigError
from mixssl.utils.names import UNTRAINED

__all__ = ["Outcome", "Runs", "measured_cost"]

DONE, ATTEMPTS = "done.json", "attempts.json"


@dataclass
class Outcome:
    """What came of a run.

    Attributes:
        row: Its row's name.
        seed: Its seed.
        folder: Where it lies.
        top1: Protocol to percent; what is missing has failed or was not reached.
        seconds: Of training, all attempts together; 0 for initial weights.
        commit: Of the code that trained it.
        failure: The last line of its log, if it has failed.
        reused: Whether nothing had to be done.
    """

    row: str
    seed: int
    folder: Path
    top1: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    commit: str = ""
    failure: str = ""
    reused: bool = False


@dataclass(frozen=True)
class Runs:
    """Carries out runs below a folder.

    A run lies in ``runs/<row>-<settings>/seed_<n>``, where <settings> are 8 digits of a hash over its whole config and
    ``train_options``: a run with other settings is another folder. ``done.json`` is there once it is trained, figures
    once it is judged.

    Attributes:
        root: The repository, for tools/.
        folder: Of the comparison.
        protocols: By which runs are judged.
        data: Config with the images to judge with; None for each row's own.
        data_root: Of those images, where ``data`` is given.
        train_options: Further arguments of tools/train.py.
        device: To judge on; None for a GPU where there is one.
    """

    root: Path
    folder: Path
    protocols: Sequence[str]
    data: str | None = None
    data_root: str | None = None
    train_options: Sequence[str] = ()
    device: str | None = None

    def folder_of(self, row: Row) -> Path:
        """Of all runs of a row."""
        slug = re.sub(r"[^\w.=-]+", "_", row.name).strip("_")[:80]
        settings = " ".join([row.digest, *self.train_options])
        return self.folder / "runs" / f"{slug}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"

    def carry_out(self, row: Row, seed: int) -> Outcome:
        """Trains and judges, as far as that is not done yet.

        Raises:
            KeyboardInterrupt: Stopped from outside, as was the process that trained: a later call goes on there.
        """
        folder = self.folder_of(row) / f"seed_{seed}"
        outcome = Outcome(row.name, seed, folder, reused=True)
        config = self.write_config(row)
        try:
            if not row.epochs or self._trained(row, config, outcome):
                self._judge(row, config, outcome)
        except ConfigError as error:
            outcome.failure = str(error)
        return outcome

    def write_config(self, row: Row) -> Path:
        """Writes a row's config, whole, where its runs lie."""
        path = self.folder_of(row) / "config.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            write_whole(row.cfg.pretty_text.encode(), path)
        return path

    def _figures_file(self) -> str:
        if self.data is None:
            return "figures.json"
        which = hashlib.sha256(f"{Path(self.data).resolve()} {self.data_root}".encode())
        return f"figures_{Path(self.data).stem}-{which.hexdigest()[:8]}.json"

    def _trained(self, row: Row, config: Path, outcome: Outcome) -> bool:
        done = outcome.folder / DONE
        if not done.is_file():
            outcome.reused = False
            command = [
                *(str(self.root / "tools/train.py"), str(config)),
                *("--work-dir", str(outcome.folder), "--seed", str(outcome.seed), "--resume"),
                *self.train_options,
            ]
            code, seconds = self._timed(command, outcome.folder)
            checkpoint = outcome.folder / f"epoch_{row.epochs}.pth"
            if code or not checkpoint.is_file():
                outcome.failure = f"training ended with code {code}: {last_line(outcome.folder)}"
                return False
            record = {
                "checkpoint": checkpoint.name,
                "seconds": seconds,
                "commit": commit(self.root),
                "machine": machine(),
                "command": shlex.join(["python", *command]),
            }
            write_whole(json.dumps(record, indent=1).encode(), done)
        record = json.loads(done.read_text())
        outcome.seconds, outcome.commit = record["seconds"], record["commit"] or ""
        return True

    def _timed(self, command: list[str], folder: Path) -> tuple[int, float]:
        """Exit code, and the seconds of this attempt and of those before."""
        path = folder / ATTEMPTS
        attempts = json.loads(path.read_text()) if path.is_file() else []
        start, code = time.perf_counter(), -1
        try:
            code = call(command, folder / LOG)
        finally:
            attempts.append({"seconds": round(time.perf_counter() - start, 1), "code": code})
            write_whole(json.dumps(attempts).encode(), path)
        return code, round(sum(attempt["seconds"] for attempt in attempts), 1)

    def _judge(self, row: Row, config: Path, outcome: Outcome) -> None:
        """Measures what is not measured yet."""
        path = outcome.folder / self._figures_file()
        known: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        missing = [name for name in self.protocols if name not in known]
        if missing:
            outcome.reused = False
            checkpoint = UNTRAINED
            if row.epochs:
                checkpoint = str(
                    outcome.folder / json.loads((outcome.folder / DONE).read_text())["checkpoint"]
                )
            part = outcome.folder / ".measured.json"
            part.unlink(missing_ok=True)
            command = [
                *(str(self.root / "tools/evaluate/protocols.py"), str(config), checkpoint),
                *("--protocols", *missing, "--out", str(part)),
            ]
            command += ["--device", self.device] if self.device else []
            command += ["--data", self.data] if self.data else []
            command += ["--data-root", self.data_root] if self.data and self.data_root else []
            code = call(command, outcome.folder / LOG)
            if code or not part.is_file():
                outcome.failure = f"evaluation ended with code {code}: {last_line(outcome.folder)}"
            else:
                known |= json.loads(part.read_text())["top1"]
                write_whole(json.dumps(known, indent=1).encode(), path)
                part.unlink()
        outcome.top1 = {name: known[name] for name in self.protocols if name in known}


def measured_cost(runs: Runs, row: Row, pairs: int) -> dict[str, Any]:
    """What a step of a row costs beside one without its mixture, by tools/benchmarks/step_cost.py; measured once.

    Returns:
        Its figures: "ratio" is the measured one, "limit" that of the passes needed.

    Raises:
        ConfigError: The measurement has failed.
    """
    config = runs.write_config(row)
    path = config.parent / f"cost_{pairs}.json"
    if not path.is_file():
        part = config.parent / ".cost.json"
        part.unlink(missing_ok=True)
        tool = str(runs.root / "tools/benchmarks/step_cost.py")
        command = [tool, str(config), "--pairs", str(pairs), "--warmup", "1", "--json", str(part)]
        command += ["--device", runs.device] if runs.device else []
        command += ["--amp"] if "--amp" in runs.train_options else []
        code = call(command, config.parent / LOG)
        if code or not part.is_file():
            raise ConfigError(
                f"the cost of {row.name!r} could not be measured (code {code}): {last_line(config.parent)}"
            )
        part.replace(path)
    figures: dict[str, Any] = json.loads(path.read_text())
    return figures
