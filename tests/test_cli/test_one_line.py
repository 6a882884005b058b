"""Exceptions: a person's in one line, ours with their traceback."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmengine.registry import Registry

from mixssl.cli.one_line import explain
from mixssl.cli.tool import run_tool
from mixssl.models.layers import SplitBN
from mixssl.utils.errors import ConfigError

THINGS = Registry("thing")


@THINGS.register_module()
class Wheel:
    """Has a diameter, and may turn out to be of several kinds of no use."""

    def __init__(self, diameter: int, **spokes: Any) -> None:
        self.diameter = diameter
        if "fault" in spokes:
            raise spokes["fault"]


@THINGS.register_module()
class Rim(Wheel):
    """Takes no more than its name says."""

    def __init__(self, diameter: int, width: int = 1) -> None:
        super().__init__(diameter)


def _caught(do: Callable[[], Any]) -> Exception:
    try:
        do()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def _build(**cfg: Any) -> Callable[[], Any]:
    return lambda: THINGS.build(cfg)


@pytest.mark.parametrize(
    ("do", "line"),
    [
        (
            _build(type="Rin", diameter=1),
            "type is 'Rin', and no thing has that name, did you mean 'Rim'",
        ),
        (
            _build(type="Zzz"),
            "type is 'Zzz', and no thing has that name: write the package before it, as in mixssl.UnMix",
        ),
        (_build(type="Rim", diametre=1), "Rim takes no diametre, did you mean 'diameter'"),
        (_build(type="Rim", diameter=1, z=1), "Rim takes no z: it takes diameter, width"),
        (
            _build(type="Wheel", diametre=1),
            "Wheel needs 'diameter', which the config does not set, did you mean 'diameter'",
        ),
        (
            _build(type="Wheel", diameter=1, fault=ValueError("diameter is\n  1")),
            "Wheel: diameter is 1",
        ),
        (_build(type="Wheel", diameter=1, fault=AssertionError()), "Wheel: AssertionError"),
        (
            _build(
                type="Wheel", diameter=1, fault=ValueError("need at least one array to concatenate")
            ),
            "Wheel: need at least one array to concatenate: it holds no sample: look at its files, and whether its "
            "annotations have the classes of metainfo",
        ),
        (
            lambda: open("/none/at/all"),  # noqa: SIM115
            "/none/at/all: No such file or directory",
        ),
        (
            lambda: SplitBN(4, num_splits=2)(torch.ones(3, 4, 2, 2)),
            "SplitBN got a batch of 3, which does not divide by num_splits 2: change batch_size or num_splits, and "
            "set drop_last=True",
        ),
    ],
)
def test_what_a_person_can_set_right_is_one_line(do: Callable[[], Any], line: str) -> None:
    assert explain(_caught(do)) == line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ConfigError("a is 1"), "a is 1"),
        (
            ConfigError(
                "Caught ConfigError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
                '  File "x.py", line 1, in f\nmixssl.utils.errors.ConfigError: a.png is no image\n'
            ),
            "a.png is no image",
        ),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "epoch_1.pth"),
            "epoch_1.pth: No space left on device: make room, or name a folder on another disk with --work-dir; files "
            "written before are whole",
        ),
        (
            OSError(errno.EROFS, os.strerror(errno.EROFS), "x"),
            "x: Read-only file system: name a place",
        ),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "x"),
            "x: Permission denied: change",
        ),
        (OSError("cannot identify image file 'a.png'"), "cannot identify image file 'a.png'"),
        (
            RuntimeError(
                "The server socket has failed to listen. name: EADDRINUSE, message: address in use"
            ),
            "the port by which the processes find each other is in use: name a free one, for instance with PORT=",
        ),
        (
            torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
            "CUDA out of memory: lower train_dataloader.batch_size, or take --amp bfloat16",
        ),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
            "DataLoader worker (pid 7) is killed by signal: Killed.: the machine ran out of memory",
        ),
    ],
)
def test_known_kinds_are_one_line_wherever_they_come_from(error: Exception, line: str) -> None:
    said = explain(error)
    assert said is not None and said.startswith(line)


@pytest.mark.parametrize(
    "do",
    [
        lambda: 1 / 0,
        lambda: torch.ones(2) @ torch.ones(3),
        lambda: {}["key"],
        lambda: int("x"),
        _build(type="Wheel", diameter=1, fault=AttributeError("no spokes")),
        _build(type="Wheel", diameter=1, fault=IndexError("no spokes")),
        lambda: torch.reshape(torch.ones(3), (2, 2)),
    ],
)
def test_a_fault_of_ours_is_not_explained(do: Callable[[], Any]) -> None:
    assert explain(_caught(do)) is None


def test_a_tool_lets_faults_pass(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        run_tool(lambda: 1 / 0, "tool.py")
    assert run_tool(_build(type="Rin"), "tool.py") == 2
    assert capfd.readouterr().err == (
        "tool.py: type is 'Rin', and no thing has that name, did you mean 'Rim'\n"
    )
