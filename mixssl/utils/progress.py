"""How far something is that takes long, said where a tool asks for it and nowhere else."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from rich.console import Console
from rich.progress import track

_Item = TypeVar("_Item")
_console: ContextVar[Console | None] = ContextVar("console", default=None)

EVERY = 30.0
"""Seconds between two lines where there is no terminal to draw on."""


@contextmanager
def progress_shown(console: Console | None = None) -> Iterator[None]:
    """Has what is tracked meanwhile say how far it is.

    Args:
        console: Where; None for standard error.
    """
    before = _console.set(console or Console(file=sys.stderr))
    try:
        yield
    finally:
        _console.reset(before)


def tracked(items: Iterable[_Item], words: str, total: int) -> Iterable[_Item]:
    """Goes through items; on a terminal with a bar, elsewhere with a line every half a minute.

    Args:
        items: Handed on as they are.
        words: What is done with them.
        total: How many there are.
    """
    console = _console.get()
    if console is None:
        return items
    if console.is_terminal:
        return track(items, words, total, console=console, transient=True)
    return _with_lines(items, words, total, console)


def _with_lines(
    items: Iterable[_Item], words: str, total: int, console: Console
) -> Iterator[_Item]:
    said = time.monotonic()
    for number, item in enumerate(items):
        if time.monotonic() - said > EVERY:
            said = time.monotonic()
            console.print(f"{words}: {number} of {total}", highlight=False)
        yield item
