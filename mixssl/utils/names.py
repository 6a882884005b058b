"""Names that a config can have at its top, and the nearest of them to one that it can't."""

import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from mixssl.utils.errors import ConfigError

OWN_KEYS = frozenset(
    {
        "knn_bank",
        "knn_query",
        "linear_probe",
    }
)
"""Keys that mixssl reads, beside mmengine's."""
MOVED = {
    "amp": "give --amp bfloat16, or set optim_wrapper.type='mixssl.BFloat16OptimWrapper'",
    "channels_last": "set model.channels_last=True",
    "checkpoint_backbone": "set model.checkpoint_backbone=True",
    "compile": "set model.compile_encoders=True",  # mmengine's compiles the step, which no compiler can follow
    "compile_encoders": "set model.compile_encoders=True",
    "device_augment": "give --device-views, or set data_preprocessor.views",
    "fused_optimizer": "set optim_wrapper.optimizer.fused=True, or for LARS type='mixssl.LARS'",
    "in_memory": "give --in-memory, or put mixssl.InMemory around the data set",
    "pretrained": "set model.init_cfg.checkpoint",
}
"""Keys that are read no more, and what to do in their place."""
OF_MMENGINE = frozenset(
    {
        "activation_checkpointing",
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

    A config may name what it likes, for itself: only a near miss is taken for a mistake, or a key that has moved.
    """
    refuse_moved(cfg)
    known = known_keys() | set(MOVED)
    for key in cfg:
        meant = "" if key in known else did_you_mean(key, known, CLOSE)
        if meant:
            raise ConfigError(f"the config sets {key}, which nothing reads{meant}?")


def refuse_moved(cfg: Mapping[str, Any]) -> None:
    """Raises a ConfigError at a key that was an option once and that would be ignored now."""
    for key, instead in MOVED.items():
        if cfg.get(key):
            raise ConfigError(
                f"the config sets {key}={cfg[key]!r}, which is read no more: {instead}"
            )
