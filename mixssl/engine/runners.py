"""The runner that a config asks for."""

from __future__ import annotations

import logging
import os
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import broadcast, is_main_process
from mmengine.logging import MMLogger
from mmengine.model import BaseModule, revert_sync_batchnorm
from mmengine.registry import RUNNERS
from mmengine.runner import BaseLoop, Runner
from torch import nn

from mixssl.engine.hooks.run_check_hook import check_loop
from mixssl.engine.run_defaults import fill_hooks
from mixssl.engine.step_options import OF_MODEL, apply_model_options
from mixssl.engine.whole_files import is_local
from mixssl.engine.work_dirs import hold
from mixssl.utils.distributed import unwrap

__all__ = ["build_runner"]


class _OptionsRunner(Runner):
    """A runner that has our hooks, and carries out the config's options for the model before anything wraps it."""

    _drawn = False

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
        """Takes the work directory, for a run that trains, and then writes the config there."""
        if self._train_loop is not None and is_main_process() and is_local(self.work_dir):
            hold(self.work_dir)
        super().dump_config()

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Builds the loop, and refuses one in which nothing would be trained."""
        built: BaseLoop = super().build_train_loop(loop)
        check_loop(built)
        return built

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wraps the model after changing its encoders as the config asks."""
        if any(self.cfg.get(name) for name in OF_MODEL) and isinstance(model, BaseModule):
            # Weights are drawn in the order in which they lie in memory: draw them before that changes.
            model.init_weights()
            self._drawn = True
        for line in apply_model_options(model, self.cfg):
            self.logger.info(line)
        return super().wrap_model(model_wrapper_cfg, model)

    def _init_model_weights(self) -> None:
        """Draws weights that are not drawn yet, and shares them among processes."""
        if not self._drawn:
            super()._init_model_weights()
            return
        for value in unwrap(self.model).state_dict().values():
            shared = value.contiguous()
            broadcast(shared)
            value.copy_(shared)


def _is_for_the_screen(record: logging.LogRecord) -> bool:
    """Whether a record is none of the environment, the config and the list of hooks."""
    text = str(record.msg).lstrip("\n")
    return not text.startswith(("-----", "Config:\n", "Hooks will be executed"))


class _PlainBNRunner(_OptionsRunner):
    """A runner for one process, or for several without GPUs."""

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wraps the model after making SyncBN plain: there is nothing to synchronise, or nothing to do it with."""
        found = sum(isinstance(module, nn.SyncBatchNorm) for module in model.modules())
        if found:
            model = revert_sync_batchnorm(model)
            why = (
                f"SyncBN needs GPUs: its {found} layers are plain BN here, each process by itself."
                if self.distributed
                else f"One process has nothing to synchronise: {found} layers of SyncBN are plain BN here."
            )
            self.logger.info(why)
        return super().wrap_model(model_wrapper_cfg, model)


def build_runner(cfg: Config, notes: list[str]) -> Runner:
    """Builds the runner that a config asks for, with the hooks that every run has, and logs ``notes``."""
    if "runner_type" in cfg:
        cfg = Config(cfg.to_dict(), filename=cfg.filename)
        cfg.default_hooks, cfg.custom_hooks = fill_hooks(
            cfg.get("default_hooks"), cfg.get("custom_hooks")
        )
        runner = RUNNERS.build(cfg)
    elif cfg.launcher == "none" or not torch.cuda.is_available():
        runner = _PlainBNRunner.from_cfg(cfg)
    else:
        runner = _OptionsRunner.from_cfg(cfg)
    runner.carries_out_options = True  # what mixssl reads in a config; RunCheckHook asks
    log = os.path.join(runner.log_dir, f"{runner.timestamp}.log")
    for note in (f"Environment, config and hooks: {log}", *notes):
        runner.logger.info(note)
    return runner
