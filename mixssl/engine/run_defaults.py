"""What every run of our tools has unless its config says no."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["DEFAULT_HOOKS", "fill_hooks"]

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

    A hook that the config has already, under its name or by its type among the custom hooks, stays as it is there.
    ``default_hooks=dict(graceful_stop=None)`` leaves one out, also where a base lists it among the custom hooks.

    Args:
        default_hooks: Of the config, or None. Not modified.
        custom_hooks: Of the config, dicts or hooks, or None. Not modified.

    Returns:
        Both, for mmengine's ``Runner.register_hooks``.
    """
    default, custom = dict(default_hooks or {}), list(custom_hooks or [])
    for name, kind in DEFAULT_HOOKS.items():
        if name not in default:
            if _class_name(kind) not in map(_type_name, custom):
                default[name] = {"type": kind}
        elif default[name] is None and name not in OF_MMENGINE:
            del default[name]
            custom = [hook for hook in custom if _type_name(hook) != _class_name(kind)]
    return default, custom


def _type_name(hook: Any) -> str:
    """Class of a hook or of its dict, without a scope."""
    kind = hook.get("type", "") if isinstance(hook, Mapping) else type(hook)
    return _class_name(kind) if isinstance(kind, str) else kind.__name__


def _class_name(kind: str) -> str:
    return kind.rpartition(".")[2]
