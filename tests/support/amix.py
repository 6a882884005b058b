"""Configs with AMix, small enough for a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.tiny import WIDTH

BLOCK = {"type": "mixssl.MixBlockPlus", "in_channels": WIDTH * 4}
"""Reads layer3 of tiny.py's backbone."""


def amix(method: Callable[..., dict], block: dict | None = None, **changes: Any) -> dict:
    """Config of a method with AMix.

    Args:
        method: A function of (mixer, **changes) that gives a config, like tiny.py's moco.
        block: Changes of the block's options.
        **changes: Of the model's.
    """
    options = {"mix_head": {"type": "mixssl.AMixHead"}, "mix_block": BLOCK | (block or {})}
    return method(mixer={"type": "mixssl.AMix"}, **(options | changes))
