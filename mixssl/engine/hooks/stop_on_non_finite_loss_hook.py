"""Stops a run whose loss is no longer a number, before a checkpoint can be spoilt."""

import math
import os
from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner, find_latest_checkpoint
from torch import Tensor

from mixssl.datasets.named_failures import listed, not_finite
from mixssl.engine.atomic_writes import is_local
from mixssl.registry import HOOKS
from mixssl.utils.distributed import unwrap
from mixssl.utils.errors import NonFiniteLossError, require_at_least

NEVER = torch.iinfo(torch.int64).max


@HOOKS.register_module()
class StopOnNonFiniteLossHook(Hook):
    """Ends training at a NaN or infinite loss, on all ranks together; the last good checkpoint stays.

    Before a loss is blamed on the learning rate the images are looked at: those in floating point, while they are still
    on the CPU. The first bad iteration of each loss term is kept on the device. It is read every ``interval``
    iterations and before every checkpoint, together with whether the weights are finite: hence no synchronisation in
    between, and no checkpoint after the fault.

    Args:
        interval: Iterations between two readings, at least 1.

    Raises:
        ConfigError: If ``interval`` is below 1.
        NonFiniteLossError: In training, one line with step, loss term, last good checkpoint and what to try.
    """

    priority = "LOW"  # after the optimizer's hooks, before CheckpointHook (VERY_LOW)

    def __init__(self, interval: int = 50) -> None:
        require_at_least(1, "StopOnNonFiniteLossHook: ", interval=interval)
        self.interval = interval
        self._names: tuple[str, ...] = ()
        self._first: Tensor | None = None
        self._value: Tensor | None = None
        self._bad_images: tuple[int, list[str]] | None = None

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Notes, on the device, each term's first iteration that is not finite."""
        if self._bad_images is None and (names := not_finite(data_batch)):
            self._bad_images = (runner.iter, names)
        if outputs:
            self._note(outputs, runner.iter)
        if self.every_n_train_iters(runner, self.interval):
            self._check_losses(runner)
        if _saves_after_iter(runner):
            self.before_checkpoint(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Reads what was noted: CheckpointHook comes next."""
        self.before_checkpoint(runner)

    def before_checkpoint(self, runner: Runner) -> None:
        """Checks losses and weights; called on all ranks before any checkpoint is written."""
        self._check_losses(runner)
        self._check_weights(runner)

    def _note(self, outputs: dict[str, Any], iteration: int) -> None:
        """Updates the first bad iteration per term, without reading it."""
        names = tuple(name for name in outputs if "loss" in name)
        if not names:
            return
        values = torch.stack(
            [torch.as_tensor(outputs[name]).detach().float().mean() for name in names]
        )
        if names != self._names or self._first is None or self._value is None:
            self._names = names
            self._first = torch.full_like(values, NEVER, dtype=torch.int64)
            self._value = torch.zeros_like(values)
        bad = ~values.isfinite() & (self._first == NEVER)
        self._first = self._first.masked_fill(bad, iteration)
        self._value = torch.where(bad, values, self._value)

    def _check_losses(self, runner: Runner) -> None:
        """Raises on every rank if any rank has seen a bad loss."""
        if self._first is None or self._value is None:
            return
        anywhere = self._first.clone()
        all_reduce(anywhere, op="min")
        steps = anywhere.tolist()
        iteration = min(steps)
        if iteration == NEVER:
            return
        terms = [i for i, step in enumerate(steps) if step == iteration]
        # The sum "loss" is bad whenever a term is: name the term where there is one.
        term = next((i for i in terms if self._names[i] != "loss"), terms[0])
        value = float(self._value[term])
        found = (
            "nan"
            if math.isnan(value)
            else "infinite"
            if math.isinf(value)
            else "not finite on another rank"
        )
        raise NonFiniteLossError(
            f"{self._names[term]} is {found} {_place(runner, iteration)}{self._reason(runner, iteration)}"
        )

    def _check_weights(self, runner: Runner) -> None:
        """Raises if a step has spoilt the weights although its loss was finite."""
        tensors = [p for p in unwrap(runner.model).state_dict().values() if p.is_floating_point()]
        if not tensors:
            return
        bad = (~torch.stack([t.isfinite().all() for t in tensors]).all()).long()
        all_reduce(bad, op="max")
        if bad.item():
            raise NonFiniteLossError(
                f"the weights are no longer finite {_place(runner, runner.iter)}"
                f"{self._reason(runner, runner.iter)}"
            )

    def _reason(self, runner: Runner, iteration: int) -> str:
        """Images with NaN on any rank, up to the bad iteration; else the last checkpoint and what to try."""
        found = [bad for bad in all_gather_object(self._bad_images) if bad and bad[0] <= iteration]
        if not found:
            return _advice(runner)
        first, names = min(found)
        return (
            f"pixels of {listed(names)} in the batch of iteration {first + 1} are NaN or infinite: mend these images, "
            "or leave them out"
        )


def _saves_after_iter(runner: Runner) -> bool:
    """Whether a CheckpointHook that counts iterations writes after this one."""
    return any(
        isinstance(hook, CheckpointHook)
        and not hook.by_epoch
        and (
            hook.every_n_train_iters(runner, hook.interval, hook.save_begin)
            or (hook.save_last and hook.is_last_train_iter(runner))
        )
        for hook in runner.hooks
    )


def _place(runner: Runner, iteration: int) -> str:
    """Iteration, and epoch with step in it, counted from 1."""
    steps = len(runner.train_dataloader)
    return f"at iteration {iteration + 1} (epoch {iteration // steps + 1}, step {iteration % steps + 1} of {steps}); "


def _last_own(runner: Runner) -> str | None:
    """The checkpoint that this run has written last, or from which it goes on; others may lie in its folder."""
    written = [hook.last_ckpt for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    resumed = None
    if runner._resume:
        resumed = runner._load_from or find_latest_checkpoint(runner.work_dir)
    own = [str(path) for path in (*written, resumed) if path]
    return next((path for path in own if not is_local(path) or os.path.isfile(path)), None)


def _advice(runner: Runner) -> str:
    """Last good checkpoint and what to try."""
    last = _last_own(runner)
    if last:
        kept = f"the last good checkpoint is {last}: continue there with --resume and"
    else:
        kept = "no checkpoint had been written yet: start again with"
    rates = next(iter(runner.optim_wrapper.get_lr().values()))
    return (
        f"{kept} a lower learning rate (now {rates[0]:.3g}), a warm-up, gradient clipping "
        "(optim_wrapper.clip_grad.max_norm=1.0) or without --amp"
    )
