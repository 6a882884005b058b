"""What data sets over published files share: saying in one line which of them are missing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mixssl.utils.errors import ConfigError

__all__ = ["require_files", "require_root"]


def require_root(dataset: Any, data_root: str) -> None:
    """Raises a ConfigError where no root was given."""
    if not data_root:
        raise ConfigError(
            f"{type(dataset).__name__}: no data_root given; name the folder that holds the data set."
        )


def require_files(
    dataset: Any, data_root: str, names: Sequence[str], folder: str, whole: str
) -> list[str]:
    """Finds files or folders in a root, or in the folder that the published archive unpacks to.

    Args:
        dataset: The data set, for its name.
        data_root: Where to look.
        names: Paths below the root or below ``folder``.
        folder: Name of the folder in the archive.
        whole: What the root should hold, in words.

    Returns:
        The paths, in the order of the names.

    Raises:
        ConfigError: The first name that is missing, what is expected, and the way out.
    """
    inner = os.path.join(data_root, folder)
    root = inner if os.path.isdir(inner) else data_root
    paths = [os.path.join(root, name) for name in names]
    missing = next((path for path in paths if not os.path.exists(path)), None)
    if missing is not None:
        raise ConfigError(
            f"{type(dataset).__name__}: {missing!r} is missing; expected {whole}. "
            "Unpack the published archive and set data_root to the folder it was unpacked in."
        )
    return paths
