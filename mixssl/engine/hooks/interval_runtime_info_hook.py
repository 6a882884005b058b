"""Losses reach the log in time for it, and not one by one."""

from typing import Any

import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.runner import Runner
from torch import Tensor

from mixssl.registry import HOOKS
from mixssl.utils.errors import require_at_least


@HOOKS.register_module()
class IntervalRuntimeInfoHook(RuntimeInfoHook):
    """mmengine's hook that tells the log about each iteration, without stopping the device in each.

    mmengine's reads every loss in every iteration. Here they wait on the device, and are read together whenever the
    log is about to be written, and at the end of each epoch. What is logged is the same.

    Args:
        interval: Iterations between two readings, at least 1; None takes the LoggerHook's.

    Raises:
        ConfigError: If ``interval`` is below 1.
    """

    def __init__(self, interval: int | None = None) -> None:
        require_at_least(1, "IntervalRuntimeInfoHook: ", interval=interval)
        self._wanted = interval
        self._waiting: list[tuple[str, Any]] = []

    def before_train(self, runner: Runner) -> None:
        """Finds out how often the log is written."""
        super().before_train(runner)
        loggers = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]
        self._interval = self._wanted or min(loggers, default=1)
        self._waiting = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Keeps what the model put out, and hands it on if the log is next."""
        for name, value in (outputs or {}).items():
            # Without its graph, which would stay alive until it is read.
            self._waiting.append((name, value.detach() if isinstance(value, Tensor) else value))
        written = self.every_n_inner_iters(batch_idx, self._interval)
        if written or self.end_of_epoch(runner.train_dataloader, batch_idx):
            self._hand_on(runner)

    def after_train(self, runner: Runner) -> None:
        """Hands on what is left."""
        self._hand_on(runner)
        super().after_train(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Hands on what belongs into the checkpoint, which holds the log as it was a moment before."""
        if self._waiting:
            self._hand_on(runner)
            checkpoint["message_hub"] = runner.message_hub.state_dict()

    def _hand_on(self, runner: Runner) -> None:
        """Reads all that waits at once, and tells the log in the order of the iterations."""
        waiting, self._waiting = self._waiting, []
        tensors = [value for _, value in waiting if isinstance(value, Tensor)]
        read = iter(_read(tensors) if tensors else [])
        for name, value in waiting:
            number = next(read) if isinstance(value, Tensor) else value
            runner.message_hub.update_scalar(f"train/{name}", number)


def _read(tensors: list[Tensor]) -> list[float]:
    """Numbers of tensors of one element each, read at once and not rounded."""
    wide = any(tensor.dtype == torch.float64 for tensor in tensors)
    device, kind = tensors[0].device, torch.float64 if wide else torch.float32
    scalars = [tensor.reshape(()).to(device, kind, non_blocking=True) for tensor in tensors]
    numbers: list[float] = torch.stack(scalars).tolist()
    return numbers
