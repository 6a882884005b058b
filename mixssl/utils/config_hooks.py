"""The hooks of a config: by name in ``default_hooks``, or in the list ``custom_hooks``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mixssl.utils.errors import ConfigError


def hooks_of(cfg: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields each hook of a config and its place as ``--cfg-options`` names it: ``default_hooks.knn``.

    Raises:
        ConfigError: ``custom_hooks`` is no list, which is what ``custom_hooks.0.interval=5`` makes of it in a config
            without any.
    """
    named = cfg.get("default_hooks") or {}
    listed = cfg.get("custom_hooks") or []
    if not isinstance(listed, Sequence):
        raise ConfigError(
            f"custom_hooks is {dict(listed)} and must be a list: address a hook of this config by its name, as in "
            f"default_hooks.NAME.interval=5, where NAME is one of {', '.join(named) or 'none'}"
        )
    for name, hook in named.items():
        if hook is not None:
            yield f"default_hooks.{name}", hook
    for i, hook in enumerate(listed):
        yield f"custom_hooks.{i}", hook


def drop_hooks(cfg: Any, unwanted: Callable[[Any], bool]) -> None:
    """Takes the unwanted hooks out of a config, in place.

    Args:
        cfg: Changed in place.
        unwanted: Whether to drop a hook, given its dict or the hook itself.
    """
    if cfg.get("default_hooks"):
        gone = [name for name, hook in cfg["default_hooks"].items() if hook and unwanted(hook)]
        for name in gone:
            del cfg["default_hooks"][name]
    if cfg.get("custom_hooks"):
        cfg["custom_hooks"] = [hook for hook in cfg["custom_hooks"] if not unwanted(hook)]


def hook_type(hook: Any) -> str:
    """Class name of a hook or of its dict, without a scope; empty where a dict names no type."""
    kind = hook.get("type", "") if isinstance(hook, Mapping) else type(hook)
    return kind.rpartition(".")[2] if isinstance(kind, str) else kind.__name__
