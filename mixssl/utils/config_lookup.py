"""Lets configs elsewhere inherit ours by name: ``_base_ = 'mixssl::unmix/mocov2_r50_in1k.py'``.

Or, in mmengine's newer form, ``with read_base(): from mixssl.configs.unmix.mocov2_r50_in1k import *``.

mmengine looks names of this form up in a closed list of packages. Adding mixssl to the list would not be enough:
mmengine also gives every dict that it inherits by name the scope of the package, and types without a prefix,
``ResNet`` say, are mmpretrain's, not ours. So the lookup itself is extended: ``mixssl::X`` stands for the path of X
among our configs, and is read as if that path had been written. ``mixssl.configs.X`` names the same files: mmengine
reads bases in the form of the config that inherits them, and ours are of the older one, so they are read apart.

Where mixssl is installed nothing needs importing for this: see :mod:`mixssl.utils.early_bases`.
"""

import functools
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.config import config as config_module
from mmengine.config import utils as config_utils

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
    """Teaches mmengine the names of our configs, in ``_base_``, ``read_base`` and ``mmengine.hub``; once is enough."""
    config_utils.MODULE2PACKAGE.setdefault("mixssl", "mixssl")
    if getattr(Config._get_cfg_path, "knows_mixssl", False):
        return
    inherited, parse = Config._get_cfg_path, Config._parse_lazy_import
    installed = config_module.get_installed_path

    @functools.wraps(inherited)
    def lookup(cfg_path: str, filename: str) -> tuple[str, str | None]:
        if cfg_path.startswith(PREFIX):
            return str(config_path(cfg_path)), None
        found: tuple[str, str | None] = inherited(cfg_path, filename)
        return found

    @functools.wraps(parse)
    def parse_ours_as_they_are_written(filename: str) -> tuple[ConfigDict, set[str]]:
        ours = _config_root() in Path(filename).resolve().parents
        if ours and not Config._is_lazy_import(filename):
            return Config.fromfile(filename, lazy_import=False)._cfg_dict, set()
        found: tuple[ConfigDict, set[str]] = parse(filename)
        return found

    @functools.wraps(installed)
    def folder_of(package: str) -> str:
        return str(_config_root().parent) if package == "mixssl" else str(installed(package))

    marked: Any = lookup
    marked.knows_mixssl = True
    Config._get_cfg_path = staticmethod(lookup)
    Config._parse_lazy_import = staticmethod(parse_ours_as_they_are_written)
    config_module.get_installed_path = folder_of  # read_base looks for mixssl.configs below it


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
