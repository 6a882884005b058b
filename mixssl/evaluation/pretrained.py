"""Weights of a pre-trained model, loaded whole or not at all."""

from collections.abc import Iterable

from torch import nn

from mixssl.utils.checkpoints import mismatch, part_of, read_checkpoint
from mixssl.utils.errors import ConfigError


def load_parts(model: nn.Module, path: str, parts: Iterable[str] = ("backbone",)) -> list[str]:
    """Loads parts of a model from a checkpoint, every tensor of them.

    Heads, queues and momentum encoders in the file are passed over.

    Args:
        model: Has the parts as attributes; changed in place.
        path: The file. One of a bare backbone, without the prefix, will do too.
        parts: "backbone", "neck" or both.

    Returns:
        A line for each part that says how many tensors were loaded.

    Raises:
        ConfigError: The file's tensors are not those of the part, by name and shape, or there is no such
            file.
    """
    state, lines = read_checkpoint(path).state, []
    for part in parts:
        module = getattr(model, part, None)
        if module is None:
            raise ConfigError(
                f"{type(model).__name__} has no {part} to load; choose feature 'backbone'"
            )
        wanted, found = module.state_dict(), part_of(state, part)
        wrong = mismatch(wanted, found)
        if wrong:
            raise ConfigError(
                f"{path!r} does not hold the config's {part} ({type(module).__name__}): {wrong}; "
                "take the config that the checkpoint was trained with"
            )
        module.load_state_dict(found)
        lines.append(f"{part}: all {len(wanted)} tensors loaded from {path}")
    return lines
