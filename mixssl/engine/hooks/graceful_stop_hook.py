"""Ctrl-C and SIGTERM end a run with a checkpoint that continues it."""

import os
import shlex
import signal
import sys
import threading
import time
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from mmengine.dist import all_reduce, barrier, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mixssl.engine.atomic_writes import ATOMIC_WRITES, write_last_checkpoint
from mixssl.engine.data_workers import leave_signals_to_main, let_pools_end
from mixssl.registry import HOOKS
from mixssl.utils.errors import require_at_least

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ECHO = 1.0
"""Seconds within which a second signal is the first one, passed on by a launcher or a shell."""


@HOOKS.register_module()
class GracefulStopHook(Hook):
    """Ends a run at SIGINT or SIGTERM after the current iteration, with a whole checkpoint and the exit code 128 + n.

    The checkpoint is ``interrupted.pth`` in the work directory, and ``--resume`` takes it. Under gradient accumulation
    the stop waits for the optimizer step, since gradients are not saved. A second signal kills at once. Data workers
    leave both signals to the main process, for terminals and batch systems send them to the whole group.

    All ranks stop at the same iteration: with several, they ask each other every ``interval`` iterations.

    Args:
        interval: Iterations between two such questions, at least 1; one process alone looks after each.

    Raises:
        ConfigError: If ``interval`` is below 1.
        SystemExit: In training, with code 130 (SIGINT) or 143 (SIGTERM).
    """

    priority = "LOWEST"  # schedulers have stepped and the regular checkpoint is written

    def __init__(self, interval: int = 10) -> None:
        require_at_least(1, "GracefulStopHook: ", interval=interval)
        self.interval = interval
        self._signal = 0
        self._signalled_at = 0.0
        self._previous: dict[int, Any] = {}
        self._owner = os.getpid()
        self._started_at = 0

    def before_train(self, runner: Runner) -> None:
        """Takes over the two signals, where Python allows it: in the main thread."""
        self._owner = os.getpid()
        self._started_at = runner.iter
        loaders = [runner.train_dataloader]
        if runner.val_loop is not None:
            loaders.append(runner.val_dataloader)
        for loader in loaders:
            leave_signals_to_main(loader)
        if threading.current_thread() is threading.main_thread():
            let_pools_end()
            self._previous = {number: signal.signal(number, self._on_signal) for number in SIGNALS}

    def after_train(self, runner: Runner) -> None:
        """Gives the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def before_train_epoch(self, runner: Runner) -> None:
        """Stops if the signal came during validation; a run that has not done a step has nothing new to save."""
        if runner.iter > self._started_at:
            self._stop_if_asked(runner, epoch=runner.epoch, iteration=runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Stops if the signal came, once gradients are used up and, with several ranks, when they ask each other."""
        done = runner.iter + 1
        accumulated = getattr(runner.optim_wrapper, "_accumulative_counts", 1)
        every = accumulated * (self.interval if get_world_size() > 1 else 1)
        if done % every == 0:
            self._stop_if_asked(runner, epoch=runner.epoch, iteration=done)

    def after_train_epoch(self, runner: Runner) -> None:
        """Stops if the signal came during what other hooks do after an epoch."""
        self._stop_if_asked(runner, epoch=runner.epoch + 1, iteration=runner.iter)

    def _on_signal(self, number: int, frame: Any) -> None:
        """Notes the first signal and dies of the second; a forked data worker ignores both."""
        if os.getpid() != self._owner:
            return
        now = time.monotonic()
        if not self._signal:
            self._signal, self._signalled_at = number, now
            # Not the logger: it may be in the middle of a line.
            os.write(
                2,
                b"\nStopping after this iteration with a checkpoint; once more to stop at once.\n",
            )
        elif now - self._signalled_at > ECHO:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _stop_if_asked(self, runner: Runner, epoch: int, iteration: int) -> None:
        """Ends the run if any rank has been asked to."""
        number = self._signal
        if get_world_size() > 1:
            asked = torch.tensor(number)
            all_reduce(asked, op="max")
            number = int(asked)
        if number:
            self._stop(runner, number, epoch, iteration)

    def _stop(self, runner: Runner, number: int, epoch: int, iteration: int) -> NoReturn:
        """Saves, says how to continue, and leaves."""
        runner.call_hook("before_checkpoint")
        runner.save_checkpoint(
            runner.work_dir,
            "interrupted.pth",
            meta={"epoch": epoch, "iter": iteration},
            backend_args={"backend": ATOMIC_WRITES},
        )
        path = os.path.join(runner.work_dir, "interrupted.pth")
        if is_main_process():
            write_last_checkpoint(runner.work_dir, path)
        runner.logger.info(
            f"Stopped by {signal.Signals(number).name} after iteration {iteration}, saved {path}. "
            f"Continue with: {_resume_command(sys.argv, path)}"
        )
        runner.visualizer.close()
        if get_world_size() > 1:
            barrier()  # the first process to leave makes the launcher end the others
            dist.destroy_process_group()
        raise SystemExit(128 + number)


def _resume_command(argv: list[str], path: str) -> str:
    """The command that continues this one."""
    if get_world_size() > 1:
        return f"the same launch and --resume {shlex.quote(path)}"
    kept, skip = [], False
    for word in argv:
        if skip and not word.startswith("-"):
            skip = False
            continue
        skip = word == "--resume"
        if not skip and not word.startswith("--resume="):
            kept.append(word)
    return f"python {shlex.join(kept)} --resume {shlex.quote(path)}"
