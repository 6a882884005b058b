"""Files that are whole or absent: written under another name, flushed to the disk, then renamed."""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from mmengine.fileio import LocalBackend, register_backend

ATOMIC_WRITES = "mixssl_whole_files"
"""Name under which mmengine finds the backend, also in configs that runs have left: ``dict(backend=ATOMIC_WRITES)``."""


def write_atomically(content: bytes, path: str | os.PathLike[str]) -> None:
    """Writes a file so that at every moment ``path`` is the old file, the new one or absent, never a part.

    Args:
        content: Of the file.
        path: Where; missing folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        if error.errno and not error.filename:
            error.filename = str(path)  # a full disk does not say what did not fit
        raise
    finally:
        part.unlink(missing_ok=True)


def write_json(content: Any, path: str | os.PathLike[str]) -> Path:
    """Writes figures for programs and for people to read; returns the path."""
    path, text = Path(path), json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    # /dev/stdout, say, is not to be replaced.
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_text(text)
    else:
        write_atomically(text.encode(), path)
    return path


def write_csv(records: Sequence[Mapping[str, Any]], columns: Sequence[str], path: Path) -> Path:
    """Writes records that have these columns; returns the path."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    write_atomically(text.getvalue().encode(), path)
    return path


def write_last_checkpoint(
    work_dir: str | os.PathLike[str], checkpoint: str | os.PathLike[str]
) -> None:
    """Makes ``checkpoint`` the one from which ``--resume`` continues in ``work_dir``."""
    write_atomically(os.fspath(checkpoint).encode(), Path(work_dir, "last_checkpoint"))


def is_local(path: str | os.PathLike[str]) -> bool:
    """Whether a path lies in this machine's file system, not behind a scheme such as s3://."""
    return "://" not in os.fspath(path) and ":s3://" not in os.fspath(path)


class AtomicBackend(LocalBackend):
    """mmengine's local file backend, with whole writes.

    ``remove`` waits for the next ``put``: mmengine's CheckpointHook deletes the oldest checkpoint before it writes the
    new one, so that with ``max_keep_ckpts=1`` an unlucky kill would leave none.
    """

    _outdated: ClassVar[set[Path]] = set()

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes ``obj`` whole, then deletes those files of its folder whose removal was asked for before."""
        path = Path(filepath)
        write_atomically(obj, path)
        for outdated in [old for old in self._outdated if old.parent == path.parent]:
            self._outdated.remove(outdated)
            if outdated != path:
                outdated.unlink(missing_ok=True)

    def remove(self, filepath: str | Path) -> None:
        """Marks a file for removal at the next ``put`` into its folder.

        Raises:
            FileNotFoundError: If there is no such file.
        """
        if not os.path.isfile(filepath):
            raise FileNotFoundError(f"no file {filepath} to remove")
        self._outdated.add(Path(filepath))


register_backend(ATOMIC_WRITES, AtomicBackend, force=True)
