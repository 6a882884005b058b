"""One run in a work directory at a time, and nothing in it of a run that was killed."""

import errno
import fcntl
import os
import socket
from pathlib import Path
from typing import TextIO

from mixssl.utils.errors import ConfigError

NAME = ".lock"
_held: dict[Path, TextIO] = {}
"""Files that this process has locked, open: closing one would give its lock back."""


def hold(work_dir: str | os.PathLike[str]) -> None:
    """Makes this process the only one that trains in a folder, until it lets go or ends, in whatever way.

    The lock is the operating system's, on the file ``.lock``: a process that is killed leaves none behind, and data
    workers don't inherit it. A file system that knows no locks is used without. Parts of files that a killed run was
    writing are removed. Repeating it is harmless.

    Args:
        work_dir: Made where it is not there.

    Raises:
        ConfigError: Another process holds it; the line says which.
    """
    folder = Path(work_dir).resolve()
    if folder in _held:
        return
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / NAME).open("a+")
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            raise ConfigError(
                f"{folder} is in use by {holder}: wait until that run has ended, or name another folder with --work-dir"
            ) from error
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    _held[folder] = file
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)


def let_go(work_dir: str | os.PathLike[str]) -> None:
    """Gives a folder back that this process holds."""
    file = _held.pop(Path(work_dir).resolve(), None)
    if file is not None:
        file.close()
