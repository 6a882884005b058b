"""A config's training made short and quiet, for tools that train several models and print a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.console import Console

from mixssl.utils.config_hooks import drop_hooks, hook_type

__all__ = ["LossLines", "short_run"]

FOR_RESUMING = ("ExactResumeHook", "GracefulStopHook")
"""Hooks for runs that can be resumed; a short one is run again instead."""
LINES = 10


def short_run(path: Path, folder: Path, length: int | None, seed: int) -> Config:
    """Reads a config for a run that says nothing, keeps one checkpoint and can't be resumed.

    Args:
        path: The config.
        folder: Work directory.
        length: Epochs or iterations, by which the config's loop counts; its schedule is stretched to it. None for
            what the config says.
        seed: Of everything random.
    """
    cfg = Config.fromfile(path)
    cfg.work_dir, cfg.log_level, cfg.randomness = str(folder), "ERROR", {"seed": seed}
    last = "max_epochs" if "max_epochs" in cfg.train_cfg else "max_iters"
    planned = cfg.train_cfg[last]
    length = planned if length is None else length
    cfg.train_cfg[last] = cfg.default_hooks.checkpoint.interval = length
    if "val_interval" in cfg.train_cfg:
        cfg.train_cfg.val_interval = length
    for part in cfg.param_scheduler:
        part.begin, part.end = (round(edge * length / planned) for edge in (part.begin, part.end))
    cfg.param_scheduler = [part for part in cfg.param_scheduler if part.end > part.begin]
    drop_hooks(cfg, lambda hook: hook_type(hook) in FOR_RESUMING)
    return cfg


class LossLines(Hook):
    """Prints ten lines a run, for where no live progress bar can be drawn."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Says how far training is."""
        done, last = runner.iter + 1, runner.max_iters
        if done % max(last // LINES, 1) == 0:
            loss = runner.message_hub.get_scalar("train/loss").current()
            self.console.print(f"  iteration {done}/{last}, loss {loss:.2f}")
