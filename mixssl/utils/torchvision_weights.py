"""Weights that torchvision publishes, as files on this machine."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from mmengine.runner.checkpoint import get_torchvision_models

from mixssl.utils.errors import ConfigError

__all__ = ["SCHEME", "torchvision_file"]

SCHEME = "torchvision://"
"""What stands before the name of weights in place of a path, as in mmengine."""


def torchvision_file(name: str) -> Path:
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
