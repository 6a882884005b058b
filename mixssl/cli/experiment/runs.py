"""The runs of an experiment, each in processes of its own: what is finished is never done again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixssl.cli.experiment.variants import Variant
from mixssl.cli.provenance import circumstances
from mixssl.engine.atomic_writes import write_atomically, write_json
from mixssl.utils.errors import ConfigError
from mixssl.utils.names import UNTRAINED

__all__ = ["LOG", "RECORD", "Experiment", "Run", "last_line", "read_record"]

LOG, RECORD = "log.txt", "run.json"


@dataclass
class Run:
    """A variant, trained with a seed and judged.

    Attributes:
        variant: Its name.
        seed: Its seed.
        folder: Where it lies.
        top1: Protocol to percent; what is missing has failed or was not reached.
        seconds: Of training, all attempts together; 0 for initial weights.
        commit: Of the code that trained it; empty for initial weights, and where it is not known.
        failure: The last line of its log, if it has failed.
        reused: Whether nothing had to be done.
    """

    variant: str
    seed: int
    folder: Path
    top1: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    commit: str = ""
    failure: str = ""
    reused: bool = True


@dataclass(frozen=True)
class Experiment:
    """Trains and judges variants below a folder.

    A run lies in ``runs/<variant>-<settings>/seed_<n>``, where <settings> are 8 digits of a hash over its whole config
    and ``train_options``: a run with other settings is another folder. ``run.json`` names its checkpoint once it is
    trained, and has its figures once it is judged.

    Attributes:
        tools: The folder ``tools``.
        folder: Of the experiment.
        protocols: By which runs are judged.
        data: Config with the images to judge with; None for each variant's own.
        data_root: Of those images, where ``data`` is given.
        train_options: Further arguments of tools/train.py.
        device: To judge on; None for a GPU where there is one.
    """

    tools: Path
    folder: Path
    protocols: Sequence[str]
    data: str | None = None
    data_root: str | None = None
    train_options: Sequence[str] = ()
    device: str | None = None

    def run(self, variant: Variant, seed: int) -> Run:
        """Trains and judges, as far as that is not done yet; a failure is noted and not raised.

        Raises:
            KeyboardInterrupt: Stopped from outside, as was the process that trained: a later call goes on there.
        """
        run = Run(variant.name, seed, self.folder_of(variant) / f"seed_{seed}")
        record = read_record(run.folder / RECORD)
        try:
            if variant.epochs and "checkpoint" not in record:
                self._train(variant, run, record)
            self._judge(variant, run, record)
        except ConfigError as error:
            run.failure = str(error)
        run.seconds, run.commit = record.get("seconds", 0.0), record.get("commit") or ""
        return run

    def step_cost(self, variant: Variant, pairs: int) -> dict[str, Any]:
        """What a step costs beside one without the mixture, by tools/benchmarks/step_cost.py; measured once.

        Returns:
            Its figures: "ratio" is the measured one, "limit" that of the passes needed.

        Raises:
            ConfigError: The measurement has failed.
        """
        folder = self.folder_of(variant)
        path = folder / f"cost_{pairs}.json"
        if not path.is_file():
            command = ["benchmarks/step_cost.py", self._config(variant), "--pairs", str(pairs)]
            command += ["--warmup", "1", *self._option("--device", self.device)]
            command += [word for word in self.train_options if word.startswith("--amp")]
            what = f"measuring the cost of {variant.name!r}"
            write_json(self._figures(command, "--json", folder, what), path)
        return read_record(path)

    def folder_of(self, variant: Variant) -> Path:
        """Of all runs of a variant."""
        slug = re.sub(r"[^\w.=-]+", "_", variant.name).strip("_")[:80]
        settings = " ".join([variant.digest, *self.train_options])
        return self.folder / "runs" / f"{slug}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"

    def _train(self, variant: Variant, run: Run, record: dict[str, Any]) -> None:
        run.reused = False
        command = ["train.py", self._config(variant), "--work-dir", str(run.folder)]
        command += ["--seed", str(run.seed), "--resume", *self.train_options]
        start = time.perf_counter()
        try:
            self._call(command, run.folder, "training")
        finally:
            seconds = record.get("seconds", 0.0) + time.perf_counter() - start
            record |= {"seconds": round(seconds, 1), "attempts": record.get("attempts", 0) + 1}
            write_json(record, run.folder / RECORD)
        checkpoint = run.folder / f"epoch_{variant.epochs}.pth"
        if not checkpoint.is_file():
            raise ConfigError(f"training left no {checkpoint.name}: {last_line(run.folder)}")
        record |= {"checkpoint": checkpoint.name, "command": shlex.join(command), **circumstances()}
        write_json(record, run.folder / RECORD)

    def _judge(self, variant: Variant, run: Run, record: dict[str, Any]) -> None:
        images = "its own" if self.data is None else f"{Path(self.data).resolve()} {self.data_root}"
        top1 = record.setdefault("top1", {}).setdefault(images, {})
        missing = [name for name in self.protocols if name not in top1]
        run.top1 = {name: top1[name] for name in self.protocols if name in top1}
        if missing:
            run.reused = False
            checkpoint = str(run.folder / record["checkpoint"]) if variant.epochs else UNTRAINED
            command = ["evaluate/protocols.py", self._config(variant), checkpoint]
            command += ["--protocols", *missing, *self._option("--device", self.device)]
            command += self._option("--data", self.data)
            command += self._option("--data-root", self.data_root) if self.data else []
            top1 |= self._figures(command, "--out", run.folder, "evaluation")["top1"]
            write_json(record, run.folder / RECORD)
            run.top1 = {name: top1[name] for name in self.protocols}

    def _config(self, variant: Variant) -> str:
        """Path of a variant's whole config, written where its runs lie."""
        path = self.folder_of(variant) / "config.py"
        if not path.is_file():
            write_atomically(variant.cfg.pretty_text.encode(), path)
        return str(path)

    @staticmethod
    def _option(name: str, value: str | None) -> list[str]:
        return [] if value is None else [name, value]

    def _figures(
        self, command: Sequence[str], option: str, folder: Path, what: str
    ) -> dict[str, Any]:
        """What a tool writes to the file that the option names."""
        path = folder / ".figures.json"
        path.unlink(missing_ok=True)
        self._call([*command, option, str(path)], folder, what)
        figures = read_record(path)
        path.unlink()
        return figures

    def _call(self, command: Sequence[str], folder: Path, what: str) -> None:
        """Runs a tool; a ConfigError with the last line of its log if it fails."""
        tool, *arguments = command
        code = call([str(self.tools / tool), *arguments], folder / LOG)
        if code in (128 + signal.SIGINT, -signal.SIGINT):
            raise KeyboardInterrupt
        if code:
            raise ConfigError(f"{what} ended with code {code}: {last_line(folder)}")


def call(command: Sequence[str], log: Path) -> int:
    """Runs a Python file in a process of its own, its output appended to a file, and returns its exit code.

    Raises:
        KeyboardInterrupt: This process was asked to stop; the other has been, too, and has ended.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        file.write(f"\n$ python {shlex.join(command)}\n".encode())
        file.flush()
        process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            return process.wait()
        except BaseException:
            # From a terminal it has had the signal already; a second one at once counts as the same.
            process.send_signal(signal.SIGTERM)
            process.wait()
            raise


def read_record(path: Path) -> dict[str, Any]:
    """A file of figures; empty if it is not there."""
    return json.loads(path.read_text()) if path.is_file() else {}


def last_line(folder: Path) -> str:
    """What the process in a folder said last, and where the rest is."""
    path = folder / LOG
    lines = path.read_text(errors="replace").split("\n") if path.is_file() else []
    said = [line.strip() for line in lines if line.strip()]
    return f"{said[-1] if said else 'it said nothing'} (all of it: {path})"
