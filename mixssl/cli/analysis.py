"""What the tools that compare checkpoints share: the models by turns, pictures with their numbers."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from mmengine.config import Config
from torch import nn

from mixssl.cli.prepare import prepare_model
from mixssl.engine.atomic_writes import write_json
from mixssl.utils.errors import ConfigError
from mixssl.visualization import save_figure


def names_of(paths: Sequence[str], names: Sequence[str] | None) -> list[str]:
    """A name for each file: those given, or its folder and name where the names alone would be the same.

    Raises:
        ConfigError: Not as many names as files, or the same name twice.
    """
    if names is None:
        names = [Path(path).stem for path in paths]
        if len(set(names)) < len(names):
            names = [f"{Path(path).parent.name}/{Path(path).stem}" for path in paths]
    if len(names) != len(paths) or len(set(names)) < len(names):
        raise ConfigError(
            f"{len(paths)} files have the names {', '.join(names)}: give as many, all different, with --names"
        )
    return list(names)


def each_model(
    cfg: Config, args: argparse.Namespace, parts: tuple[str, ...]
) -> Iterator[tuple[str, nn.Module, str]]:
    """The models of ``args.checkpoints``, one in memory at a time: name, model, and what was loaded in words."""
    for name, checkpoint in zip(
        names_of(args.checkpoints, args.names), args.checkpoints, strict=True
    ):
        model, notes = prepare_model(cfg, checkpoint, parts, args.device)
        yield name, model, f"{name}: {'; '.join(notes)}"


def save_both(
    figure: Figure, numbers: dict[str, Any], picture: str | None, default: Path, out: str | None
) -> str:
    """Writes a picture and the numbers it is made of.

    Args:
        figure: The picture.
        numbers: For JSON.
        picture: Path that was asked for.
        default: Path where none was.
        out: Path of the numbers; None for that of the picture with the ending .json.

    Returns:
        Where both lie, a line each.
    """
    path = save_figure(figure, picture or default)
    return f"{path}\n{write_json(numbers, out or path.with_suffix('.json'))}"
