"""Reads checkpoints that others may have written: tensors, numbers and texts come out, and no code of theirs runs."""

from __future__ import annotations

import ast
import hashlib
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mixssl.utils.errors import ConfigError
from mixssl.utils.torchvision_weights import SCHEME, torchvision_file

__all__ = ["Checkpoint", "read_checkpoint", "require_whole", "settings_in"]

LFS = b"version https://git-lfs"
BUILT = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): torch.Size,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
}
"""What unpickling may call; torch itself adds its storages."""


class Checkpoint(NamedTuple):
    """Weights and what is known of their origin.

    ``state`` are all tensors by name. ``meta`` is what the run has noted, ``settings`` the parts of its config that are
    plain values: its ``model`` and ``data_preprocessor``. ``sha256`` is the file's.
    """

    path: Path
    state: dict[str, Tensor]
    meta: dict[str, Any]
    settings: dict[str, Any]
    sha256: str


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Reads a checkpoint onto the CPU.

    mmengine's checkpoints hold log buffers and random states beside the weights, which ``torch.load`` with
    ``weights_only`` refuses as a whole. Here objects of unknown classes become empty stand-ins, and nothing that a file
    names is called but what rebuilds tensors.

    Args:
        path: A file of torch.save, of today or of before torch 1.6, or ``torchvision://`` and the name of weights that
            torchvision publishes, which are downloaded unless they are in torch's cache.

    Raises:
        ConfigError: There is no such file, or it holds no weights: one line with the reason.
    """
    if isinstance(path, str) and path.startswith(SCHEME):
        path = torchvision_file(path.removeprefix(SCHEME))
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"there is no checkpoint {str(path)!r}: name an existing file")
    with path.open("rb") as file:
        if file.read(len(LFS)) == LFS:
            raise ConfigError(
                f"{str(path)!r} is a pointer of git-lfs, not the weights themselves: fetch them with git lfs pull"
            )
    content = _load(path)
    if not isinstance(content, Mapping):
        raise ConfigError(
            f"{str(path)!r} holds {_kind(content)} and no dict of weights: name a checkpoint of training"
        )
    weights = content.get("state_dict", content.get("model", content))
    weights = weights if isinstance(weights, Mapping) else {}
    state = {str(name): value for name, value in weights.items() if isinstance(value, Tensor)}
    if not state:
        names = ", ".join(map(str, list(content)[:5]))
        raise ConfigError(
            f"{str(path)!r} holds no weights, only {names or 'an empty dict'}: name a checkpoint of training"
        )
    meta = content.get("meta")
    meta = {str(k): v for k, v in meta.items()} if isinstance(meta, Mapping) else {}
    config = meta.get("cfg", meta.get("config"))  # of a run, or of a backbone extracted from it
    settings = settings_in(config) if isinstance(config, str) else {}
    return Checkpoint(path, state, meta, settings, _sha256(path))


def require_whole(path: str | os.PathLike[str]) -> None:
    """Raises a ConfigError where a file is no checkpoint, or a part of one; reads its end alone where that tells."""
    if not zipfile.is_zipfile(path):  # the list of its contents comes last
        _load(Path(path))


def settings_in(config: str) -> dict[str, Any]:
    """Reads the plain values out of a config's text, without running it.

    Args:
        config: Python as mmengine writes it into a checkpoint: assignments of dicts, lists and constants.

    Returns:
        The assignments that are plain values; others are left out. Empty where the text is no Python.
    """
    try:
        statements = ast.parse(config).body
    except (SyntaxError, ValueError):
        return {}
    found = {}
    for statement in statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                found[statement.targets[0].id] = _value(statement.value)
            except (ValueError, TypeError):
                continue
    return found


def _value(node: ast.expr) -> Any:
    """A constant, or a list, tuple or dict of values; ValueError for anything that would have to be run."""
    if isinstance(node, ast.Call):
        named = isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args
        if not named or any(keyword.arg is None for keyword in node.keywords):
            raise ValueError("a call")
        return {str(keyword.arg): _value(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    if isinstance(node, ast.Dict):
        if None in node.keys:
            raise ValueError("an unpacked dict")
        return {_value(k): _value(v) for k, v in zip(node.keys, node.values, strict=True) if k}
    return ast.literal_eval(node)


class _StandIn:
    """Takes the place of an object whose class is not built, and whatever is done to it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> _StandIn:
        return self

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        """Takes an item and keeps nothing."""

    def extend(self, items: Any) -> None:
        """Takes items and keeps nothing."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Gives what rebuilds tensors, and the stand-in for everything else."""
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        return BUILT.get((module, name), _StandIn)


class _CarefulPickle:
    """What torch.load needs of the module pickle."""

    Unpickler = _Unpickler

    @staticmethod
    def load(file: Any, **options: Any) -> Any:
        """Reads one object."""
        return _Unpickler(file, **options).load()


def _load(path: Path) -> Any:
    """Content of a file of torch.save."""
    try:
        return torch.load(path, "cpu", pickle_module=_CarefulPickle, weights_only=False)
    except (
        AttributeError,
        EOFError,
        IndexError,
        KeyError,
        OSError,
        RuntimeError,
        TypeError,
        UnicodeDecodeError,
        ValueError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        raise ConfigError(
            f"{str(path)!r} is no checkpoint of torch, or only a part of one ({path.stat().st_size} bytes, "
            f"{type(error).__name__}): name a checkpoint of training"
        ) from error


def _kind(content: Any) -> str:
    """What a file holds, for a message."""
    name = "an object of an unknown class" if isinstance(content, _StandIn) else ""
    return name or f"a {type(content).__name__}"


def _sha256(path: Path) -> str:
    """Hash of a file."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
