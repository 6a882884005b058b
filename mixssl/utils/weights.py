"""What is wrong with the weights in a file, in one line."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

__all__ = ["mismatch", "part_of", "state_dict_of"]


def state_dict_of(checkpoint: Mapping) -> dict[str, Tensor]:
    """The weights in a checkpoint, without what a distributed wrapper puts before their names."""
    found = checkpoint.get("state_dict", checkpoint)
    return {name.removeprefix("module."): value for name, value in found.items()}


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
