"""What the demos share: trainings made short and quiet, a table of what came of them, and a file that repeats them."""

import copy
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from mixssl.cli.experiment.lengths import fit_schedules
from mixssl.cli.provenance import circumstances, command
from mixssl.utils.config_hooks import drop_hooks, hook_type

FOR_RESUMING = ("ExactResumeHook", "GracefulStopHook")
"""Hooks for runs that can be resumed; a short one is run again instead."""
LINES = 10
THREADS = 1
"""Two save a quarter of the time on an idle machine, and wait for each other for minutes on a busy one."""


def use_one_thread() -> None:
    """Computes in one thread, unless the user has set OMP_NUM_THREADS."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(THREADS)
        threadpool_limits(THREADS)


def short_run(path: Path, folder: Path, length: int | None, seed: int) -> Config:
    """Reads a config for a run that says nothing, keeps one checkpoint and can't be resumed.

    Args:
        path: The config.
        folder: Work directory.
        length: Epochs or iterations, by which the config's loop counts; its schedule is stretched to it. None for
            what the config says.
        seed: Of everything random.
    """
    cfg = Config.fromfile(path)
    cfg.work_dir, cfg.log_level, cfg.randomness = str(folder), "ERROR", {"seed": seed}
    last = "max_epochs" if "max_epochs" in cfg.train_cfg else "max_iters"
    planned = cfg.train_cfg[last]
    length = planned if length is None else length
    cfg.train_cfg[last] = cfg.default_hooks.checkpoint.interval = length
    if "val_interval" in cfg.train_cfg:
        cfg.train_cfg.val_interval = length
    fit_schedules(cfg, length, planned)
    drop_hooks(cfg, lambda hook: hook_type(hook) in FOR_RESUMING)
    return cfg


def train(cfg: Config, console: Console) -> Runner:
    """Trains a config in an empty folder."""
    shutil.rmtree(cfg.work_dir, ignore_errors=True)
    runner = Runner.from_cfg(copy.deepcopy(cfg))
    if not sys.stderr.isatty():
        runner.register_hook(LossLines(console))
    runner.train()
    return runner


class LossLines(Hook):
    """Prints ten lines a run, for where no live progress bar can be drawn."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Says how far training is."""
        done, last = runner.iter + 1, runner.max_iters
        if done % max(last // LINES, 1) == 0:
            loss = runner.message_hub.get_scalar("train/loss").current()
            self.console.print(f"  iteration {done}/{last}, loss {loss:.2f}")


def report(
    console: Console,
    title: str,
    rows: Mapping[str, Mapping[str, str]],
    note: str,
    pictures: Mapping[str, Path],
    out: Path,
    **summary: Any,
) -> None:
    """Prints what came of a demo, and writes what is needed to run it again and to compare into summary.json.

    Args:
        console: To print on.
        title: Of the table.
        rows: Name of a backbone to its cells by heading.
        note: Printed beneath.
        pictures: Drawn already.
        out: Folder of the summary.
        **summary: What it has beside the command and the machine.
    """
    path = out / "summary.json"
    path.write_text(
        json.dumps({"command": command(), **circumstances(), **summary}, indent=2) + "\n"
    )
    table = Table(title=title)
    table.add_column("backbone")
    for heading in next(iter(rows.values())):
        table.add_column(heading, justify="right")
    for name, cells in rows.items():
        table.add_row(name, *cells.values())
    console.print(table)
    console.print(note, highlight=False)
    for name, file in (*pictures.items(), ("summary", path)):
        console.print(f"{name:>9}: {file}", soft_wrap=True, highlight=False)
