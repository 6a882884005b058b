"""Names that a config can have at its top, and the nearest of them to one that it can't."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from mixssl.utils.errors import ConfigError

__all__ = ["OWN_KEYS", "UNTRAINED", "check_keys", "did_you_mean", "known_keys"]

OWN_KEYS = frozenset(
    {
        "amp",
        "channels_last",
        "checkpoint_backbone",
        "compile_encoders",
        "device_augment",
        "fused_optimizer",
        "in_memory",
        "knn_bank",
        "knn_query",
        "linear_probe",
        "pretrained",
    }
)
"""Keys that mixssl reads, beside mmengine's."""
OF_MMENGINE = frozenset(
    {
        "activation_checkpointing",
        "compile",
        "custom_imports",
        "efficient_conv_bn_eval",
        "find_unused_parameters",
        "model_wrapper_cfg",
        "runner_type",
        "strategy",
        "sync_bn",
        "tta_model",
        "tta_pipeline",
    }
)
"""Keys that mmengine's runners and tools read beside the arguments of its Runner."""
UNTRAINED = "untrained"
"""Given in place of a checkpoint: the weights that a config starts from."""
CLOSE = 0.9
"""How alike two names must be for one to be taken for the other, from 0 to 1; configs name things of their own too."""


@cache
def known_keys() -> frozenset[str]:
    """Keys that a program reads at the top of a config."""
    from mmengine.runner import Runner  # heavy, and not needed to parse arguments

    arguments = set(inspect.signature(Runner.__init__).parameters) - {"self", "cfg"}
    return OWN_KEYS | OF_MMENGINE | arguments


def did_you_mean(name: str, known: Iterable[str], alike: float = 0.6) -> str:
    """``", did you mean 'x'"`` with the nearest of the known names, or an empty string where none is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=alike)
    return f", did you mean {near[0]!r}" if near else ""


def check_keys(cfg: Mapping[str, Any]) -> None:
    """Raises a ConfigError at a key that nothing reads and that is nearly one that is read.

    A config may name what it likes, for itself: only a near miss is taken for a mistake.
    """
    known = known_keys()
    for key in cfg:
        meant = "" if key in known else did_you_mean(key, known, CLOSE)
        if meant:
            raise ConfigError(f"the config sets {key}, which nothing reads{meant}?")
