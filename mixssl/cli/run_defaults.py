"""What every run of our tools has unless its config says otherwise: hooks, and how loaders work."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config

from mixssl.utils.config_checks import LOADERS
from mixssl.utils.config_hooks import hook_type
from mixssl.utils.errors import ConfigError
from mixssl.utils.names import did_you_mean

DEFAULT_HOOKS = {
    "runtime_info": "mixssl.IntervalRuntimeInfoHook",
    "run_check": "mixssl.RunCheckHook",
    "whole_checkpoint": "mixssl.WholeCheckpointHook",
    "stop_on_non_finite_loss": "mixssl.StopOnNonFiniteLossHook",
    "exact_resume": "mixssl.ExactResumeHook",
    "graceful_stop": "mixssl.GracefulStopHook",
    "progress": "mixssl.ProgressHook",
}
"""Hooks by the name under which ``default_hooks`` replaces them or, with None, leaves them out."""
OF_MMENGINE = ("runtime_info",)
"""Names that mmengine has too: None under one of them is for mmengine to read."""


def fill_hooks(
    default_hooks: Mapping[str, Any] | None, custom_hooks: Sequence[Any] | None
) -> tuple[dict[str, Any], list[Any]]:
    """Adds the hooks that a config leaves open.

    A hook that the config has already, under its name or by its type in the list, stays as it is there. By its name one
    in the list is reached too: ``default_hooks=dict(graceful_stop=None)`` leaves it out, and
    ``default_hooks=dict(graceful_stop=dict(interval=50))``, without a type, sets it otherwise.

    Args:
        default_hooks: Of the config, or None. Not modified.
        custom_hooks: Of the config, dicts or hooks, or None. Not modified.

    Returns:
        Both, for mmengine's ``Runner.register_hooks``.

    Raises:
        ConfigError: A hook of these that stands in both, or a name in ``default_hooks`` that is not known and has no
            type.
    """
    default, custom = dict(default_hooks or {}), list(custom_hooks or [])
    for name, kind in DEFAULT_HOOKS.items():
        listed = [hook for hook in custom if hook_type(hook) == kind.rpartition(".")[2]]
        if name not in default:
            if not listed:
                default[name] = {"type": kind}
            continue
        own = default[name]
        if own is None and name not in OF_MMENGINE:
            del default[name]
        elif isinstance(own, Mapping) and "type" not in own:
            default[name] = {"type": kind, **own}
        elif own is not None and listed:
            raise ConfigError(
                f"{hook_type(listed[0])} stands in custom_hooks, and default_hooks.{name} is another: take it out of "
                f"custom_hooks, and set it by its name, as in default_hooks.{name}.interval=..."
            )
        custom = [hook for hook in custom if hook not in listed]
    for name, hook in default.items():
        if isinstance(hook, Mapping) and "type" not in hook:
            typed = [other for other in default if other != name]
            raise ConfigError(
                f"default_hooks.{name} is {dict(hook)} and has no type, and no hook of the config is called {name}"
                f"{did_you_mean(name, typed)}: give it a type, or one of the names {', '.join(typed)}"
            )
    return default, custom


def fill_loaders(cfg: Config, pin_memory: bool, persistent_workers: bool | None) -> None:
    """Sets what loaders leave open: pinned memory, workers that stay between epochs, and how a batch is made.

    Detectors take lists of images of different sizes, everything else stacked ones.

    Args:
        cfg: Changed in place.
        pin_memory: False turns pinned memory off everywhere.
        persistent_workers: False turns them off everywhere, None leaves them as they are.
    """
    for name in LOADERS:
        loader = cfg.get(name)
        if loader is None:
            continue
        loader.setdefault("pin_memory", True)
        kind = "pseudo_collate" if cfg.get("default_scope") == "mmdet" else "default_collate"
        loader.setdefault("collate_fn", {"type": kind})
        if persistent_workers is not None:
            loader.setdefault("persistent_workers", True)
        if not pin_memory:
            loader["pin_memory"] = False
        if persistent_workers is False or not loader.get("num_workers", 0):
            loader["persistent_workers"] = False
