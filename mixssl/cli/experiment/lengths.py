"""A config's training brought to another length, and everything that counts on its length with it."""

from __future__ import annotations

import math
from typing import Any

from mmengine.config import Config

from mixssl.utils.config_hooks import hook_type, hooks_of
from mixssl.utils.errors import ConfigError, require_at_least

__all__ = ["fit_epochs", "fit_schedules"]

MEASUREMENTS = 10
"""At most so many times a run is measured and saved on its way."""
LENGTHS = ("begin", "end", "T_max", "step_size", "total_steps", "total_iters")
MILESTONES = ("milestones", "periods")
COUNT_EPOCHS = {"KNNMonitorHook": 1, "LinearProbeHook": 1, "MixtureGrid": 10}
"""Hooks whose ``interval`` counts epochs, and what it is unless given."""


def fit_epochs(cfg: Config, epochs: int, few_checkpoints: bool = True) -> list[str]:
    """Stretches or shrinks a config's training to a number of epochs.

    What has a length is multiplied by the ratio of new to planned epochs and rounded: the ends, periods and milestones
    of learning rate schedules, also those that count iterations, warm-ups of schedules and mix heads, and the intervals
    of monitors. A warm-up that comes out at less than half an epoch is left out; milestones within the run stay within
    it, at the last epoch if need be. Monitors measure at most ten times, and so many checkpoints are written, of which
    the newest alone is kept.

    Args:
        cfg: Changed in place.
        epochs: At least 1.
        few_checkpoints: Otherwise checkpoints are written and kept as the config says.

    Returns:
        What was changed, in words.

    Raises:
        ConfigError: The config does not count epochs, or ``epochs`` is below 1.
    """
    planned = (cfg.get("train_cfg") or {}).get("max_epochs")
    if not planned:
        raise ConfigError(
            f"{cfg.filename} has no train_cfg.max_epochs: only configs that count epochs can be "
            "brought to another number of them"
        )
    require_at_least(1, "", epochs=epochs)
    ratio, notes = epochs / planned, fit_schedules(cfg, epochs, planned)
    cfg.train_cfg.max_epochs = epochs
    if epochs != planned:
        notes.insert(0, f"epochs {planned} → {epochs}")
        head = (cfg.get("model") or {}).get("mix_head") or {}
        if warmup := head.get("warmup_epochs"):
            head["warmup_epochs"] = warmup * ratio
            notes.append(f"mix_head: warmup_epochs {warmup:g} → {warmup * ratio:g}")
    notes += _fit_hooks(cfg, ratio, epochs)
    return [*notes, _fit_checkpoints(cfg, epochs)] if few_checkpoints else notes


def fit_schedules(cfg: Config, length: int, planned: int) -> list[str]:
    """Stretches or shrinks the schedules of a config's optimizer.

    Args:
        cfg: Changed in place.
        length: New length of the run, in what its loop counts: epochs or iterations.
        planned: The length that the schedules are for.

    Returns:
        What was changed, in words.

    Raises:
        ConfigError: The config has schedules for several optimizers.
    """
    schedules = cfg.get("param_scheduler") or []
    if isinstance(schedules, dict) and "type" not in schedules:
        raise ConfigError(
            f"{cfg.filename} has schedules for several optimizers, whose lengths are not known here: "
            "a comparison takes configs with one"
        )
    notes, kept = [], []
    for schedule in [schedules] if isinstance(schedules, dict) else schedules:
        changed = _fit_schedule(schedule, length, planned)
        if "end" in schedule and schedule.get("begin", 0) >= schedule["end"]:
            notes.append(f"{schedule['type']}: left out, shorter than half an epoch")
            continue
        kept.append(schedule)
        notes += [f"{schedule['type']}: {', '.join(changed)}"] if changed else []
    cfg.param_scheduler = kept
    return notes


def _fit_schedule(schedule: Any, length: int, planned: int) -> list[str]:
    """Changes one schedule; returns what was changed."""
    ratio, changed = length / planned, []
    by_epoch = schedule.get("by_epoch", True)
    for key in (*LENGTHS, *MILESTONES):
        old = schedule.get(key)
        if old is None:
            continue
        if key in LENGTHS:
            may_vanish = key == "begin" or (key == "end" and by_epoch)
            new: Any = max(_scaled(old, ratio), 0 if may_vanish else 1)
        else:
            new = [max(_scaled(milestone, ratio), 1) for milestone in old]
            if by_epoch:  # a fall of the learning rate within the run is a part of the recipe
                last = max(length - 1, 1)
                new = [min(n, last) if o < planned else n for n, o in zip(new, old, strict=True)]
        if new != old:
            schedule[key] = new
            changed.append(f"{key} {old} → {new}")
    return changed


def _fit_hooks(cfg: Config, ratio: float, epochs: int) -> list[str]:
    seldom = -(-epochs // MEASUREMENTS)
    notes = []
    for _, hook in hooks_of(cfg):
        name = hook_type(hook)
        old = hook.get("interval", COUNT_EPOCHS.get(name))
        if name not in COUNT_EPOCHS or old is None:  # without an interval it counts iterations
            continue
        hook["interval"] = new = min(max(_scaled(old, ratio), seldom), epochs)
        notes += [f"{name}: interval {old} → {new}"] if new != old else []
    if "val_interval" in cfg.train_cfg:
        cfg.train_cfg.val_interval = max(_scaled(cfg.train_cfg.val_interval, ratio), 1)
    return notes


def _fit_checkpoints(cfg: Config, epochs: int) -> str:
    seldom = -(-epochs // MEASUREMENTS)
    hooks = cfg.setdefault("default_hooks", {})
    checkpoint = hooks.setdefault("checkpoint", {"type": "CheckpointHook"})
    checkpoint.update(interval=seldom, by_epoch=True, max_keep_ckpts=1)
    return f"checkpoint: every {'epoch' if seldom == 1 else f'{seldom} epochs'}, the newest kept"


def _scaled(value: float, ratio: float) -> int:
    """Rounded half up, which is what a reader expects."""
    return math.floor(value * ratio + 0.5)
