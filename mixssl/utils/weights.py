"""What is wrong with the weights in a file, in one line."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor

from mixssl.utils.errors import ConfigError

__all__ = ["mismatch", "part_of", "read_weights", "state_dict_of"]


def state_dict_of(checkpoint: Mapping) -> dict[str, Tensor]:
    """The weights in a checkpoint, without what a distributed wrapper puts before their names."""
    found = checkpoint.get("state_dict", checkpoint)
    return {name.removeprefix("module."): value for name, value in found.items()}


def read_weights(path: str) -> dict[str, Tensor]:
    """Reads the weights in a checkpoint, on the CPU.

    Args:
        path: A file, or an address that mmengine can fetch.

    Raises:
        ConfigError: There is no such file, or it holds no weights.
    """
    if "://" not in path and not os.path.isfile(path):
        raise ConfigError(f"there is no checkpoint {path!r}: name an existing file")
    try:
        state = state_dict_of(
            CheckpointLoader.load_checkpoint(path, map_location="cpu", logger="silent")
        )
    except Exception as error:  # what unpickling any file may raise has no common type
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise ConfigError(f"{path!r} is no checkpoint ({said})") from error
    return state


def part_of(state: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The weights of one part of a model, "backbone" or "neck", named as the part itself names them.

    A file that holds a bare backbone, as torchvision's do, has no prefix; its classifier is left out.
    """
    named = {
        name.removeprefix(f"{part}."): value
        for name, value in state.items()
        if name.startswith(f"{part}.")
    }
    if named or part != "backbone":
        return named
    return {name: value for name, value in state.items() if not name.startswith(("fc.", "head."))}


def mismatch(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], most: int = 3) -> str:
    """Says in what names and shapes two state dicts differ.

    Args:
        wanted: Of the model.
        found: Of the file.
        most: Names given of each kind of difference.

    Returns:
        One line; empty where there is no difference.
    """
    faults = {
        "missing": sorted(wanted.keys() - found.keys()),
        "unexpected": sorted(found.keys() - wanted.keys()),
        "of another shape": [
            f"{name} {tuple(found[name].shape)} instead of {tuple(wanted[name].shape)}"
            for name in wanted
            if name in found and found[name].shape != wanted[name].shape
        ],
    }
    return "; ".join(
        f"{len(names)} {kind} ({', '.join(names[:most])}{', ...' if len(names) > most else ''})"
        for kind, names in faults.items()
        if names
    )
