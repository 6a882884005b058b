"""Lets configs elsewhere inherit ours by name: ``_base_ = 'mixssl::unmix/mocov2_r50_in1k.py'``.

mmengine looks names of this form up in a closed list of packages. Adding mixssl to the list would not be enough:
mmengine also gives every dict that it inherits by name the scope of the package, and types without a prefix,
``ResNet`` say, are mmpretrain's, not ours. So the lookup itself is extended: ``mixssl::X`` stands for the path of X
among our configs, and is read as if that path had been written.
"""

import functools
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config import utils as config_utils

__all__ = ["PREFIX", "config_path", "register_config_lookup"]

PREFIX = "mixssl::"


def config_path(name: str) -> Path:
    """Finds one of our configs.

    Args:
        name: Path below ``configs``, with or without ``mixssl::`` before it: ``unmix/mocov2_r50_in1k.py``.

    Raises:
        FileNotFoundError: There is no such config, or this copy of mixssl came without its configs.
    """
    relative = name.removeprefix(PREFIX)
    root = _config_root()
    path = (root / relative).resolve()
    if not path.is_file() or root not in path.parents:
        raise FileNotFoundError(
            f"mixssl has no config {relative!r}; in {root} there are: {', '.join(_neighbours(root, relative))}"
        )
    return path


def register_config_lookup() -> None:
    """Teaches mmengine the names ``mixssl::...``, in ``_base_`` and in ``mmengine.hub``. Repeating it is harmless."""
    config_utils.MODULE2PACKAGE.setdefault("mixssl", "mixssl")
    original = Config._get_cfg_path
    if getattr(original, "knows_mixssl", False):
        return

    @functools.wraps(original)
    def lookup(cfg_path: str, filename: str) -> tuple[str, str | None]:
        if cfg_path.startswith(PREFIX):
            return str(config_path(cfg_path)), None
        found: tuple[str, str | None] = original(cfg_path, filename)
        return found

    marked: Any = lookup
    marked.knows_mixssl = True
    Config._get_cfg_path = staticmethod(lookup)


def _config_root() -> Path:
    """The folder ``configs``: beside the package in a checkout, inside it once built into a wheel."""
    package = Path(__file__).resolve().parents[1]
    for root in (package / ".mim" / "configs", package.parent / "configs"):
        if root.is_dir():
            return root.resolve()
    raise FileNotFoundError(
        f"mixssl in {package} came without its configs; install it with pip, or inherit them by path"
    )


def _neighbours(root: Path, relative: str) -> list[str]:
    """What could have been meant: the configs in the same folder, else the folders there are."""
    folder = (root / relative).parent
    found = [path for path in folder.glob("*.py") if root in path.parents]
    found = found or [path for path in root.iterdir() if path.is_dir()]
    return sorted(path.relative_to(root).as_posix() for path in found)
