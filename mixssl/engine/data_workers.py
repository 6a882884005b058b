"""Child processes and signals: data workers outlive one to the whole process group, and pools can end theirs."""

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from functools import cache, partial
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawValue
from multiprocessing.util import register_after_fork
from typing import Any

from torch.utils.data import DataLoader


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


@cache
def let_pools_end() -> None:
    """Lets SIGTERM end the workers of process pools that are forked from now on, whatever handler they inherit.

    A pool that has done its work sends them SIGTERM and waits until they are gone; mmdet measures AP on VOC in one. A
    handler in Python would not do: it runs between two instructions, so that a worker which is about to wait for work,
    or is still being forked, may never come to run it. Hence the signal is held back in the kernel through the fork,
    and has its default action from the moment on at which a child knows that it is a pool's.
    """
    held = threading.local()
    here = multiprocessing.current_process()

    def hold() -> None:
        held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))

    def release() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, held.mask)

    def in_child() -> None:
        inherited = signal.getsignal(signal.SIGTERM)
        if callable(inherited):
            signal.signal(signal.SIGTERM, partial(_until_known, here, inherited))
        release()

    os.register_at_fork(before=hold, after_in_parent=release, after_in_child=in_child)
    register_after_fork(let_pools_end, _known)


def _known(_: Any) -> None:
    """Gives SIGTERM its default action in a pool's worker; called as soon as a child has its name."""
    if "PoolWorker" in multiprocessing.current_process().name:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _until_known(
    parent: BaseProcess, inherited: Callable[[int, Any], Any], number: int, frame: Any
) -> None:
    """What a forked child does at SIGTERM: end or what it inherited, and a little later while it has no name yet."""
    child = multiprocessing.current_process()
    if child is parent:
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), number))
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    elif "PoolWorker" in child.name:
        os._exit(0)
    else:
        signal.setitimer(signal.ITIMER_REAL, 0)
        inherited(number, frame)
