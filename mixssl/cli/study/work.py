"""A study's work: the next piece of training that nobody does, again and again, by any number of processes."""

import fcntl
import hashlib
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixssl.cli.experiment.runs import RECORD, last_line, read_record
from mixssl.cli.study.child import Commands, in_child
from mixssl.cli.study.gains import gain_of, score_of
from mixssl.cli.study.plan import NONE, Arm, Entry, Plan, Run, equal_epochs
from mixssl.cli.study.records import columns, read_rows
from mixssl.engine.atomic_writes import write_atomically, write_csv, write_json
from mixssl.utils.errors import ConfigError

ATTEMPTS = 2
"""Of a run, from its last checkpoint, until it counts as failed."""
WAIT = 10.0
"""Seconds until a process that found all work taken looks again."""


@dataclass(frozen=True)
class Study:
    """Trains and judges by a plan, below a folder.

    A run lies in ``runs/<arm>-<settings>/seed_<n>``. It is trained from one number of epochs at which it is judged to
    the next; ``run.json`` has the figures of each. Whatever ends a process, the same command goes on: with the last
    checkpoint of the run that it was training, and with what is next in the plan. Several processes share the work; the
    operating system keeps them apart, and lets go of what a killed one held.

    Attributes:
        plan: What to do.
        folder: Of the study.
        data_root: Of the images; None as the configs say.
    """

    plan: Plan
    folder: Path
    data_root: str | None = None

    # -- what is to be done ----------------------------------------------------------------------------------------

    def tasks(self) -> Iterator[tuple[Run, int]]:
        """What can be done now and is not: a run, and the epochs to train it to; the most urgent first."""
        for entry in self.plan.work:
            arms = self._wanted(entry)
            for arm in arms:
                yield from self._search_tasks(arm)
            # By compute: wherever the study is stopped, arms and seeds have had about as much of it.
            tasks = [
                (arm.units * epochs, seed, run, epochs)
                for arm in arms
                for seed, run in zip(entry.seeds, self._runs(entry, arm), strict=False)
                for epochs in entry.marks(arm)
                if not self._is_settled(run, epochs)
            ]
            yield from (
                (run, epochs) for _, _, run, epochs in sorted(tasks, key=lambda task: task[:2])
            )

    def chosen(self, arm: Arm) -> dict[str, Any] | None:
        """The settings that an arm's search has found; None as long as it has not, or if all its runs have failed."""
        points = self._rounds(arm)[-1]
        last = self.plan.search.epochs[-1]
        scored = [(self._figure(point, last), point) for point in points]
        if not scored or not all(self._is_settled(point, last) for point in points):
            return None
        best, point = max(scored, key=lambda pair: pair[0])
        return dict(point.settings) if best > -1 else None

    def _search_tasks(self, arm: Arm) -> Iterator[tuple[Run, int]]:
        """The next round of an arm's search."""
        rounds = self._rounds(arm)
        epochs = self.plan.search.epochs[len(rounds) - 1]
        yield from ((p, epochs) for p in rounds[-1] if not self._is_settled(p, epochs))

    def _rounds(self, arm: Arm) -> list[list[Run]]:
        """Points of an arm's grid in each round of its search, up to the one that is under way."""
        search = self.plan.search
        points = [
            Run(arm, search.images, search.seed, tuple(point.items()), held_out=True)
            for point in arm.grid
        ]
        rounds = [points]
        for epochs in search.epochs[:-1]:
            if not all(self._is_settled(point, epochs) for point in points):
                break
            order = sorted(points, key=lambda point: -self._figure(point, epochs))
            points = order[: (len(points) + 1) // 2]
            rounds.append(points)
        return rounds

    def _wanted(self, entry: Entry) -> list[Arm]:
        """Arms of an entry that are to be trained: all, or those whose gain the earlier seeds leave open."""
        if not entry.close:
            return list(entry.arms)
        rows = [row for row in self.rows() if row["seed"] not in entry.seeds]
        plain, last = entry.arms[0], entry.epochs[-1]
        found = []
        for arm in entry.arms[1:]:
            own, base = (
                score_of(rows, a.method, a.mixture, entry.images, epochs, self.plan.search.by)
                for a, epochs in ((arm, last), (plain, equal_epochs(arm, plain, last)))
            )
            gain = gain_of(own, base)
            if gain is not None and gain.low <= 0 <= gain.high:
                found.append(arm)
        return [plain, *found] if found else []

    def _runs(self, entry: Entry, arm: Arm) -> list[Run]:
        """Runs of an arm, one a seed; none before its settings are known."""
        settings = self.chosen(arm)
        if settings is None:
            return []
        return [Run(arm, entry.images, seed, tuple(settings.items())) for seed in entry.seeds]

    def _is_settled(self, run: Run, epochs: int) -> bool:
        """Whether a run has been judged at a number of epochs, or has failed for good."""
        record = self.record(run)
        return has_failed(record) or str(epochs) in record.get("judged", {})

    def _figure(self, run: Run, epochs: int) -> float:
        """The figure that a search goes by; -1 for a run that has failed before."""
        judged = self.record(run).get("judged", {}).get(str(epochs), {})
        return float(judged.get(self.plan.search.by, -1))

    # -- doing it --------------------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Does all there is to do, with whoever else does."""
        while True:
            tasks = list(self.tasks())
            self.write_results()
            if not tasks:
                return
            if not any(self.attempt(run, epochs) for run, epochs in tasks):
                time.sleep(WAIT)

    def attempt(self, run: Run, epochs: int) -> bool:
        """Trains and judges a run unless another process is at it; whether there is now something new to know."""
        folder = self.folder_of(run)
        with _claimed(folder) as ours:
            if not ours:
                return False
            if not self._is_settled(run, epochs):
                record = {"judged": {}, "failures": []} | self.record(run)
                try:
                    record["judged"][str(epochs)] = self._train_and_judge(run, epochs)
                except ConfigError as error:
                    record["failures"].append(str(error))
                write_json(record, folder / RECORD)
                words = record["judged"].get(str(epochs)) or record["failures"][-1]
                print(f"{_name(run)}, seed {run.seed}, {epochs} epochs: {words}", flush=True)
            return True

    def again(self, results: Path, number: int) -> dict[str, Any]:
        """Does a row of results again, in this study's folder.

        Args:
            results: The file.
            number: Of the row, from 1.

        Returns:
            The row, done anew.

        Raises:
            ConfigError: No such row, one without figures, or one of an arm or of settings that the plan does not have.
        """
        rows = read_rows(results, self.plan.protocols)
        if not 1 <= number <= len(rows) or rows[number - 1]["epochs"] is None:
            raise ConfigError(
                f"{results} has {len(rows)} rows, and {number} is none of those with figures"
            )
        row = rows[number - 1]
        arm = self.plan.arms.get((row["method"], row["mixture"]))
        points = [] if arm is None else arm.grid
        found = [point for point in points if settings_in_words(point) == row["settings"]]
        if arm is None or not found:
            raise ConfigError(
                f"row {number} of {results} is of an arm or of settings that the plan does not have"
            )
        point = tuple(found[0].items())
        run = Run(arm, row["images"], row["seed"], point, row["judged"] != "test")
        self.attempt(run, row["epochs"])
        return next(one for one in self._rows_of(run) if one["epochs"] == row["epochs"])

    def _train_and_judge(self, run: Run, epochs: int) -> dict[str, Any]:
        """Figures of a run after a number of epochs, made by a process of its own.

        Raises:
            ConfigError: It has failed.
        """
        folder = self.folder_of(run)
        config = folder.parent / "config.py"
        if not config.is_file():  # as it was first, also where a recipe changes later
            write_atomically(self.plan.config(run).pretty_text.encode(), config)
        data = [] if self.data_root is None else ["--data-root", self.data_root]
        checkpoint = folder / f"epoch_{epochs}.pth"
        commands = Commands(
            checkpoint,
            [
                *(str(config), "--work-dir", str(folder), "--seed", str(run.seed), "--resume"),
                *(*data, "--cfg-options", f"train_cfg.max_epochs={epochs}"),
            ],
            [str(config), str(checkpoint), *data, "--protocols", *self.plan.protocols],
        )
        code, figures = in_child(commands, folder)
        if code or set(figures.get("top1", {})) != set(self.plan.protocols):
            raise ConfigError(f"it ended with code {code}: {last_line(folder)}")
        return {
            **{name: round(figures["top1"][name], 2) for name in self.plan.protocols},
            "seconds": round(figures["training"]),
            "device": figures["device"],
            "torch": figures["torch"].partition("+")[0],
            "commit": (figures["commit"] or "")[:7],
        }

    # -- what is there ---------------------------------------------------------------------------------------------

    def folder_of(self, run: Run) -> Path:
        """Of a run: its arm in words, and a hash of everything that the plan says of it."""
        plan, arm = self.plan, run.arm
        told: list[Any] = [
            plan.options,
            plan.amp,
            plan.device_views,
            plan.search.held_out,
            plan.classes,
        ]
        told += [
            arm.config,
            arm.options,
            arm.mixture == NONE,
            run.images,
            run.settings,
            run.held_out,
        ]
        digest = hashlib.sha256(repr(told).encode()).hexdigest()[:8]
        slug = re.sub(r"[^\w.=-]+", "_", _name(run))
        return self.folder / "runs" / f"{slug}-{digest}" / f"seed_{run.seed}"

    def record(self, run: Run) -> dict[str, Any]:
        """What is known of a run; empty if nothing."""
        return read_record(self.folder_of(run) / RECORD)

    def rows(self) -> list[dict[str, Any]]:
        """Rows of results.csv: of every run that the plan now asks for, as far as it has got."""
        arms = dict.fromkeys(arm for entry in self.plan.work for arm in entry.arms)
        runs = [run for arm in arms for run in self._rounds(arm)[0]]
        runs += [run for e in self.plan.work for arm in e.arms for run in self._runs(e, arm)]
        return [row for run in dict.fromkeys(runs) for row in self._rows_of(run)]

    def _rows_of(self, run: Run) -> Iterator[dict[str, Any]]:
        record, arm = self.record(run), run.arm
        batch = self.plan.options["train_dataloader.batch_size"]
        row = {
            "judged": "held out" if run.held_out else "test",
            "method": arm.method,
            "mixture": arm.mixture,
            "images": run.images,
            "seed": run.seed,
            "settings": settings_in_words(dict(run.settings)),
            "units": arm.units,
            "config": arm.config,
        }
        for epochs, figures in sorted(record.get("judged", {}).items(), key=lambda x: int(x[0])):
            passes = arm.units * int(epochs) * (run.images // batch * batch)
            yield {**row, "epochs": int(epochs), "compute": round(passes), **figures, "failure": ""}
        if has_failed(record):
            empty = dict.fromkeys(columns(self.plan.protocols), "")
            yield {**empty, **row, "failure": record["failures"][-1].partition(" (")[0]}

    def write_results(self) -> Path:
        """Writes results.csv, whole, from what all processes have done."""
        path = self.folder / "results.csv"
        with _claimed(self.folder, wait=True):
            return write_csv(self.rows(), columns(self.plan.protocols), path)


def has_failed(record: Mapping[str, Any]) -> bool:
    """Whether a run has failed for good: a process may be killed, or a disk be full, and the next attempt succeed."""
    return len(record.get("failures", ())) >= ATTEMPTS


def settings_in_words(settings: Mapping[str, Any]) -> str:
    """As ``--cfg-options`` takes them."""
    return " ".join(f"{key}={value}" for key, value in settings.items())


def _name(run: Run) -> str:
    words = [run.arm.method, run.arm.mixture, str(run.images)]
    if run.held_out:
        words += [f"{key.rpartition('.')[2]}={value}" for key, value in run.settings]
    return ", ".join(words)


@contextmanager
def _claimed(folder: Path, wait: bool = False) -> Iterator[bool]:
    """Keeps a folder to this process meanwhile, if no other has it: yields whether that is so.

    Processes forked meanwhile inherit the claim: one that goes on after its parent was killed keeps it to its end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".claim").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
