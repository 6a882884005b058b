"""Places in a config by their dotted keys, and changes of them in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

__all__ = ["has_place", "in_words", "label", "look_up"]


def label(title: str, values: Mapping[str, Any]) -> str:
    """What to call a row: a title and the values that were swept."""
    parts = [f"{key.rsplit('.', 1)[-1]} {_value(value)}" for key, value in values.items()]
    return ", ".join([title, *parts])


def in_words(changes: Mapping[str, Any]) -> str:
    """Changes as --cfg-options would take them."""
    return "; ".join(f"{key}={_value(value)}" for key, value in changes.items())


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "")


def has_place(cfg: Config, key: str) -> bool:
    """Whether a key could be set: whether what it lies in is there."""
    parent = key.rpartition(".")[0]
    return not parent or isinstance(look_up(cfg, parent), (dict, list))


def look_up(node: Any, key: str) -> Any:
    """What a config has under a dotted key; None if there is nothing."""
    for part in key.split("."):
        if isinstance(node, (list, tuple)) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        elif isinstance(node, (Mapping, Config)):
            node = node.get(part)
        else:
            return None
    return node
