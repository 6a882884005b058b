"""Data workers that outlive a signal to the whole process group, as long as their main process does."""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Callable
from functools import cache, partial
from multiprocessing.sharedctypes import RawValue
from typing import Any

from torch.utils.data import DataLoader

__all__ = ["leave_signals_to_main"]


def leave_signals_to_main(loader: DataLoader) -> None:
    """Lets the workers that a loader has yet to start ignore SIGINT and SIGTERM.

    Terminals and batch systems send both to every process of a run. A worker that died of it would take the main
    process along before that has saved anything. Once the main process leaves, SIGTERM ends its workers as usual:
    that is how Python's multiprocessing stops those that a loader keeps between epochs.

    Args:
        loader: Its ``worker_init_fn`` is wrapped.
    """
    loader.worker_init_fn = partial(_start, loader.worker_init_fn, _leaving())


@cache
def _leaving() -> Any:
    """A flag shared with the workers, which turns 1 as this process ends."""
    flag = RawValue("b", 0)
    # Called before multiprocessing's own, which was registered earlier and waits for the workers.
    atexit.register(setattr, flag, "value", 1)
    return flag


def _start(init: Callable[[int], None] | None, leaving: Any, worker: int) -> None:
    """What a worker runs first."""

    def on_sigterm(number: int, frame: Any) -> None:
        if leaving.value:
            os._exit(0)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, on_sigterm)
    if init is not None:
        init(worker)
