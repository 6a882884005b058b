"""A config's training brought to another number of epochs, and everything that counts on its length with it."""

from __future__ import annotations

import math
from typing import Any

from mmengine.config import Config

from mixssl.utils.errors import ConfigError

__all__ = ["MEASUREMENTS", "fit_epochs"]

MEASUREMENTS = 10
"""At most so many times a run is measured and saved on its way."""
LENGTHS = ("begin", "end", "T_max", "step_size", "total_steps", "total_iters")
LISTS = ("milestones", "periods")
COUNT_EPOCHS = {"KNNMonitorHook": 1, "LinearProbeHook": 1, "MixtureGridHook": 10}
"""Hooks whose ``interval`` counts epochs, and what it is unless given."""


def fit_epochs(cfg: Config, epochs: int) -> list[str]:
    """Stretches or shrinks a config's training to a number of epochs.

    What has a length is multiplied by the ratio of new to planned epochs and rounded: the ends, periods and milestones
    of learning rate schedules, also those that count iterations, warm-ups of schedules and mix heads, and the intervals
    of monitors. A warm-up that comes out at less than half an epoch is left out; milestones within the run stay within
    it, at the last epoch if need be. Monitors measure and checkpoints are written at most ten times, and the newest
    checkpoint alone is kept.

    Args:
        cfg: Changed in place.
        epochs: At least 1.

    Returns:
        What was changed, in words.

    Raises:
        ConfigError: The config does not count epochs, or ``epochs`` is below 1.
    """
    planned = (cfg.get("train_cfg") or {}).get("max_epochs")
    if not planned:
        raise ConfigError(
            f"{cfg.filename} has no train_cfg.max_epochs: a comparison takes configs that count epochs"
        )
    if epochs < 1:
        raise ConfigError(f"epochs is {epochs} and must be at least 1")
    ratio, notes = epochs / planned, []
    cfg.train_cfg.max_epochs = epochs
    if epochs != planned:
        notes.append(f"epochs {planned} → {epochs}")
        notes += _fit_schedules(cfg, ratio, epochs, planned)
        notes += _fit_warmup_of_head(cfg, ratio)
    notes += _fit_hooks(cfg, ratio, epochs)
    return notes


def _scaled(value: float, ratio: float) -> int:
    """Rounded half up, which is what a reader expects."""
    return math.floor(value * ratio + 0.5)


def _fit_schedules(cfg: Config, ratio: float, epochs: int, planned: int) -> list[str]:
    notes: list[str] = []
    parts = cfg.get("param_scheduler") or []
    if isinstance(parts, dict) and "type" not in parts:
        raise ConfigError(
            f"{cfg.filename} has schedules for several optimizers, whose lengths are not known here: "
            "a comparison takes configs with one"
        )
    kept = []
    for part in [parts] if isinstance(parts, dict) else parts:
        changed = _fit_schedule(part, ratio, epochs, planned)
        if changed is None:
            notes.append(f"{part['type']}: left out, shorter than half an epoch")
        else:
            kept.append(part)
            notes += [f"{part['type']}: {', '.join(changed)}"] if changed else []
    cfg.param_scheduler = kept
    return notes


def _fit_schedule(part: Any, ratio: float, epochs: int, planned: int) -> list[str] | None:
    """Changes one schedule; what was changed, or None if nothing is left of it."""
    by_epoch, changed = part.get("by_epoch", True), []
    for key in (*LENGTHS, *LISTS):
        old = part.get(key)
        if old is None:
            continue
        if key in LISTS:
            new: Any = [_milestone(value, ratio, epochs, planned, by_epoch) for value in old]
        else:
            floor = 0 if key == "begin" or (key == "end" and by_epoch) else 1
            new = max(_scaled(old, ratio), floor)
        if new != old:
            part[key] = new
            changed.append(f"{key} {old} → {new}")
    if "end" in part and part.get("begin", 0) >= part.end:
        return None
    return changed


def _milestone(value: int, ratio: float, epochs: int, planned: int, by_epoch: bool) -> int:
    new = max(_scaled(value, ratio), 1)
    # The fall of the learning rate near the end is a part of the recipe.
    return min(new, max(epochs - 1, 1)) if by_epoch and value < planned else new


def _fit_warmup_of_head(cfg: Config, ratio: float) -> list[str]:
    head = (cfg.get("model") or {}).get("mix_head") or {}
    old = head.get("warmup_epochs")
    if not old:
        return []
    head["warmup_epochs"] = old * ratio
    return [f"mix_head: warmup_epochs {old:g} → {old * ratio:g}"]


def _fit_hooks(cfg: Config, ratio: float, epochs: int) -> list[str]:
    seldom = -(-epochs // MEASUREMENTS)
    notes = []
    for hook in cfg.get("custom_hooks") or []:
        name = str(hook.get("type", "")).rsplit(".", 1)[-1]
        if name not in COUNT_EPOCHS:
            continue
        old = hook.get("interval", COUNT_EPOCHS[name])
        if old is None:  # it counts iterations instead
            continue
        hook["interval"] = new = min(max(_scaled(old, ratio), seldom), epochs)
        notes += [f"{name}: interval {old} → {new}"] if new != old else []
    if "val_interval" in cfg.train_cfg:
        cfg.train_cfg.val_interval = max(_scaled(cfg.train_cfg.val_interval, ratio), 1)
    hooks = cfg.setdefault("default_hooks", {})
    checkpoint = hooks.setdefault("checkpoint", {"type": "CheckpointHook"})
    checkpoint.update(interval=seldom, by_epoch=True, max_keep_ckpts=1)
    return [
        *notes,
        f"checkpoint: every {'epoch' if seldom == 1 else f'{seldom} epochs'}, the newest kept",
    ]
