"""Training and judging in a process forked from one that has imported everything: a start costs next to nothing."""

import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mixssl.cli.commands import run
from mixssl.cli.experiment.runs import LOG, read_record
from mixssl.cli.provenance import circumstances
from mixssl.engine.atomic_writes import write_json

FIGURES = ".figures.json"


class Commands(NamedTuple):
    """What to do: arguments of tools/train.py unless the checkpoint is there, then those of evaluate/protocols.py."""

    checkpoint: Path
    train: Sequence[str]
    judge: Sequence[str]


def in_child(commands: Commands, folder: Path) -> tuple[int | None, dict[str, Any]]:
    """Trains and judges in a process of its own; what it says goes to a log in the folder.

    Returns:
        Exit code, negative for a signal, and the figures: of the evaluation, seconds of training, circumstances.

    Raises:
        KeyboardInterrupt: This process was asked to stop; the other has been, too, and has ended.
    """
    (folder / FIGURES).unlink(missing_ok=True)
    process = multiprocessing.get_context("fork").Process(
        target=_train_and_judge, args=(commands, folder)
    )
    process.start()
    try:
        process.join()
    except BaseException:
        process.terminate()
        process.join()
        raise
    return process.exitcode, read_record(folder / FIGURES)


def _train_and_judge(commands: Commands, folder: Path) -> None:
    log = (folder / LOG).open("a", buffering=1)
    for stream in (1, 2):  # also of what is not Python's
        os.dup2(log.fileno(), stream)
    sys.stdout = sys.stderr = log
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)  # a study is a process for each core
    seconds = 0.0
    if not commands.checkpoint.is_file():
        start = time.perf_counter()
        _carry_out("train", commands.train)
        seconds = time.perf_counter() - start
    path = folder / FIGURES
    _carry_out("evaluate protocols", [*commands.judge, "--out", str(path)])
    # Here and not in the parent: a process that has asked for a GPU's name can fork no other that uses it.
    write_json(read_record(path) | {"training": seconds} | circumstances(), path)


def _carry_out(name: str, arguments: Sequence[str]) -> None:
    """Carries a command out, and ends this process if it fails."""
    sys.argv = [name, *arguments]
    print("\n$ mixssl", *sys.argv)
    code = run(name)
    if code:
        raise SystemExit(code)
