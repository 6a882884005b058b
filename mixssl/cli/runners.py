"""The runner that a config asks for."""

import logging
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import RUNNERS
from mmengine.runner import BaseLoop, Runner
from torch import nn

from mixssl.cli.run_defaults import fill_hooks
from mixssl.engine.atomic_writes import is_local
from mixssl.engine.hooks.run_check_hook import check_loop
from mixssl.engine.work_dirs import hold


class _Runner(Runner):
    """A runner that has our hooks, takes its work directory, and needs no GPU for a config with SyncBN."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Builds the logger; what fills screens before the first step goes into its file alone."""
        logger: MMLogger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if type(handler) is logging.StreamHandler:
                handler.addFilter(_is_for_the_screen)
        return logger

    def register_hooks(
        self, default_hooks: dict[str, Any] | None = None, custom_hooks: list | None = None
    ) -> None:
        """Registers the config's hooks and those that every run has."""
        super().register_hooks(*fill_hooks(default_hooks, custom_hooks))

    def dump_config(self) -> None:
        """Takes the work directory, for a run that trains, and then writes the config there.

        A config that lies there is left as it is, with its comments; what was run stands in ``vis_data`` in any case.
        """
        if self._train_loop is not None and is_main_process() and is_local(self.work_dir):
            hold(self.work_dir)
        own = self.cfg.filename
        if own is None or Path(own).resolve().parent != Path(self.work_dir).resolve():
            super().dump_config()

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Builds the loop, and refuses one in which nothing would be trained."""
        built: BaseLoop = super().build_train_loop(loop)
        check_loop(built)
        return built

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wraps the model, its SyncBN made plain where there is no GPU to synchronise; for one process mmengine does.

        Returns:
            The model, wrapped if there are several processes.
        """
        without_gpu = not torch.cuda.is_available()
        if without_gpu and any(isinstance(child, nn.SyncBatchNorm) for child in model.modules()):
            model = revert_sync_batchnorm(model)
            self.logger.info("SyncBN needs GPUs: here it is plain BN, each process by itself.")
        return super().wrap_model(model_wrapper_cfg, model)


def _is_for_the_screen(record: logging.LogRecord) -> bool:
    """Whether a record is none of the environment, the config and the list of hooks."""
    text = str(record.msg).lstrip("\n")
    return not text.startswith(("-----", "Config:\n", "Hooks will be executed"))


def build_runner(cfg: Config, notes: list[str]) -> Runner:
    """Builds the runner that a config asks for, with the hooks that every run has, and logs ``notes``."""
    if "runner_type" in cfg:
        cfg = Config(cfg.to_dict(), filename=cfg.filename)
        cfg.default_hooks, cfg.custom_hooks = fill_hooks(
            cfg.get("default_hooks"), cfg.get("custom_hooks")
        )
        runner = RUNNERS.build(cfg)
    else:
        runner = _Runner.from_cfg(cfg)
    log = os.path.join(runner.log_dir, f"{runner.timestamp}.log")
    for note in (f"Environment, config and hooks: {log}", *notes):
        runner.logger.info(note)
    return runner
