"""Reads checkpoints that others may have written, by torch's reader of weights alone, and says what doesn't fit."""

import ast
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.runner.checkpoint import get_torchvision_models
from torch import Tensor

from mixssl.utils.errors import ConfigError

SCHEME = "torchvision://"
"""What stands before the name of torchvision's weights in place of a path, as in mmengine."""
LFS = b"version https://git-lfs"
COUNTER = "num_batches_tracked"
"""Buffer that counts batches: old files lack it, and nothing needs it."""
BACKBONES = {
    "online": ("backbone.", "encoder_q."),
    "momentum": (
        "encoder_k.module.0.",
        "target_net.module.0.",
        "momentum_encoder.module.0.",
        "encoder_k.",
    ),
}
"""What stands before the backbone's names, in our and mmpretrain's methods and in those of MoCo's authors."""
HEADS = ("fc.", "head.", "neck.", "classifier.")
"""What may follow a backbone that has no prefix."""


class Checkpoint(NamedTuple):
    """Weights and what is known of their origin.

    ``state`` are all tensors by name, without what a distributed wrapper puts before. ``meta`` is what the run has
    noted, ``settings`` the parts of its config that are plain values: its ``model`` and ``data_preprocessor``.
    ``sha256`` is the file's.
    """

    path: Path
    state: dict[str, Tensor]
    meta: dict[str, Any]
    settings: dict[str, Any]
    sha256: str

    @property
    def pixels(self) -> dict[str, Any] | None:
        """What training saw: pixels from 0 to 255, less ``mean``, over ``std``, RGB if ``to_rgb``, else BGR.

        None if the checkpoint does not say.
        """
        inside = (self.settings.get("model") or {}).get("data_preprocessor")
        noted = self.settings.get("data_preprocessor") or inside or {}
        if noted.get("mean") is None or noted.get("std") is None:
            return None
        numbers = {key: [float(value) for value in noted[key]] for key in ("mean", "std")}
        return {**numbers, "to_rgb": bool(noted.get("to_rgb"))}


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Reads a checkpoint onto the CPU.

    ``torch.load`` with ``weights_only`` runs no code of a file, and refuses files as a whole that hold other objects
    too, as mmengine's do with log buffers and random states. Here such objects become empty stand-ins.

    Args:
        path: A file of torch.save, of today or of before torch 1.6, or ``torchvision://`` and the name of weights that
            torchvision publishes, which are downloaded unless they are in torch's cache.

    Raises:
        ConfigError: There is no such file, or it holds no weights: one line with the reason.
    """
    if isinstance(path, str) and path.startswith(SCHEME):
        path = _torchvision_file(path.removeprefix(SCHEME))
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"there is no checkpoint {str(path)!r}: name an existing file")
    content = _load(path)
    if not isinstance(content, Mapping):
        raise ConfigError(
            f"{str(path)!r} holds a {type(content).__name__} and no dict of weights: name a checkpoint of training"
        )
    weights = content.get("state_dict", content.get("model", content))
    weights = weights if isinstance(weights, Mapping) else {}
    state = state_dict_of({str(k): v for k, v in weights.items() if isinstance(v, Tensor)})
    if not state:
        names = ", ".join(map(str, list(content)[:5]))
        raise ConfigError(
            f"{str(path)!r} holds no weights, only {names or 'an empty dict'}: name a checkpoint of training"
        )
    meta = content.get("meta")
    meta = {str(k): v for k, v in meta.items()} if isinstance(meta, Mapping) else {}
    config = meta.get("cfg", meta.get("config"))  # of a run, or of a backbone extracted from it
    settings = _settings_in(config) if isinstance(config, str) else {}
    return Checkpoint(path, state, meta, settings, hashlib.sha256(path.read_bytes()).hexdigest())


def torch_bytes(content: Any) -> bytes:
    """What ``torch.save`` would write."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def require_whole(path: str | os.PathLike[str]) -> None:
    """Raises a ConfigError where a file is no checkpoint, or a part of one; reads its end alone where that tells."""
    if not zipfile.is_zipfile(path):  # the list of its contents comes last
        _load(Path(path))


def state_dict_of(checkpoint: Mapping) -> dict[str, Tensor]:
    """The weights in a checkpoint, without what a distributed wrapper puts before their names."""
    found = checkpoint.get("state_dict", checkpoint)
    return {name.removeprefix("module."): value for name, value in found.items()}


def places_of_backbone(state: Mapping[str, Tensor], encoder: str = "online") -> dict[str, str]:
    """Names of a backbone's tensors as the backbone itself names them, each with the name in the file.

    Args:
        state: All weights.
        encoder: "online", or "momentum" for the averaged encoder of MoCo, BYOL and their kin.

    Returns:
        Empty where there is none. A file of a bare backbone or classifier, as torchvision's, has no prefix; its head
        is left out.
    """
    for prefix in BACKBONES[encoder]:
        found = {
            name.removeprefix(prefix): name
            for name in state
            if name.startswith(prefix) and not name.startswith(f"{prefix}fc.")
        }
        if found:
            return found
    bare = {name: name for name in state if not name.startswith(HEADS)}
    return bare if encoder == "online" else {}


def part_of(state: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The weights of one part of a model, "backbone" or "neck", named as the part itself names them."""
    if part == "backbone":
        return {own: state[name] for own, name in places_of_backbone(state).items()}
    prefix = f"{part}."
    return {n.removeprefix(prefix): value for n, value in state.items() if n.startswith(prefix)}


def mismatch(
    wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], most: int = 3, counters: bool = True
) -> str:
    """Says in what names and shapes two state dicts differ.

    Args:
        wanted: Of the model.
        found: Of the file.
        most: Names given of each kind of difference.
        counters: Whether the file must have the counters of batches that the model has.

    Returns:
        One line; empty where there is no difference.
    """
    missing = wanted.keys() - found.keys()
    faults = {
        "missing": sorted(name for name in missing if counters or not name.endswith(COUNTER)),
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


class _StandIn:
    """Takes the place of an object of a class that is not built, with whatever it is made from."""

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _load(path: Path) -> Any:
    """Content of a file of torch.save."""
    with path.open("rb") as file:
        if file.read(len(LFS)) == LFS:
            raise ConfigError(
                f"{str(path)!r} is a pointer of git-lfs, not the weights themselves: fetch them with git lfs pull"
            )
    # Files of before torch 1.6 are no zip files and can't be asked; those that hold more than weights hold options.
    names = {"argparse.Namespace"}
    # A dictionary can only be filled if it is one.
    built: dict[str, Any] = {"collections.defaultdict": lambda *_: {}}
    try:
        if zipfile.is_zipfile(path):
            names.update(torch.serialization.get_unsafe_globals_in_checkpoint(path))
        stand_ins: list[Any] = [(built.get(name, _StandIn), name) for name in names]
        with torch.serialization.safe_globals(stand_ins):
            return torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # torch and zipfile raise a dozen kinds for a file that is cut off
        said = re.search(r"\n\n\s*(.+)\n\nCheck", str(error))  # the one sentence about the file
        why = said[1].partition(". ")[0].rstrip(".") if said else type(error).__name__
        raise ConfigError(
            f"{str(path)!r} is no checkpoint of torch, or only a part of one ({path.stat().st_size} bytes, {why}): "
            "name a checkpoint of training"
        ) from error


class _Literals(ast.NodeTransformer):
    """Writes ``dict(a=1)`` as ``{'a': 1}``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        plain = not node.args and all(keyword.arg for keyword in node.keywords)
        if not plain or not isinstance(node.func, ast.Name) or node.func.id != "dict":
            return node
        keys: list[ast.expr | None] = [ast.Constant(keyword.arg) for keyword in node.keywords]
        return ast.Dict(keys, [keyword.value for keyword in node.keywords])


def _settings_in(config: str) -> dict[str, Any]:
    """Reads the plain values out of a config's text, without running it, as mmengine's reader does.

    Args:
        config: Python as mmengine writes it into a checkpoint: assignments of dicts, lists and constants.

    Returns:
        The assignments that are plain values; others are left out. Empty where the text is no Python.
    """
    found = {}
    try:
        statements = ast.parse(config).body
    except (SyntaxError, ValueError):
        return {}
    for statement in statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                value = ast.literal_eval(_Literals().visit(statement.value))
            except (ValueError, TypeError):  # something that would have to be run
                continue
            found[statement.targets[0].id] = value
    return found


def _torchvision_file(name: str) -> Path:
    """The file of weights that torchvision publishes, downloaded into torch's cache unless it lies there.

    Args:
        name: As mmengine lists them, like ``"resnet50"`` (the first published ones) or ``"resnet50.imagenet1k_v2"``.

    Raises:
        ConfigError: There are no such weights, or they can't be downloaded.
    """
    known = get_torchvision_models()
    if name not in known:
        alike = [other for other in known if other.split(".")[0] == name.split(".")[0]]
        raise ConfigError(
            f"torchvision has no weights {name!r}: choose {' or '.join(alike or ['resnet18', 'resnet50'])}, or name a "
            "file"
        )
    url = str(known[name])
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    if not path.is_file():
        digits = re.search(r"-([0-9a-f]{8,})\.", path.name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), digits[1] if digits else None)
        except (OSError, RuntimeError) as error:  # no network among them
            raise ConfigError(
                f"{SCHEME}{name} can't be downloaded ({' '.join(str(error).split())}): fetch {url} elsewhere and name "
                "the file"
            ) from error
    return path


def digest_of(state: Mapping[str, Tensor]) -> bytes:
    """SHA-256 of tensors, their names, types and shapes, in their order: 32 bytes."""
    found = hashlib.sha256()
    for name, value in state.items():
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.digest()
