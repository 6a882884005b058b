"""Speed and outcome in the log, and a live progress bar on a terminal."""

import atexit
import logging
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook, LoggerHook
from mmengine.runner import Runner
from rich.console import Console
from rich.file_proxy import FileProxy
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mixssl.registry import HOOKS
from mixssl.utils.distributed import total_batch

MEASURED = ("rankme", "knn_top1")
"""Figures of monitors that are shown beside the loss."""

LAST = 10
"""Iterations over which the speed is taken."""
ACCURACIES = ("top1", "mAP", "AP50", "accuracy")
"""Words in the names of figures of which more is better."""


@HOOKS.register_module()
class ProgressHook(Hook):
    """Shows epoch, iteration, time left, images per second and loss while training, on the main process.

    The bar is drawn only where standard error is a terminal; log lines then scroll above it. Nothing is read from the
    device: the loss shown is the one that mmengine has already logged.

    The log gains ``images_per_s`` of all processes together, and at the end time and speed, the best and the last of
    each accuracy that was measured, and the command that judges what was learned.

    Args:
        refresh: Seconds between two updates, above 0.
        console: Where to draw; None for standard error.

    Raises:
        ValueError: If ``refresh`` is not above 0.
    """

    priority = (
        "NORMAL"  # after the timer, which comes before among equals, and before the log is written
    )

    def __init__(self, refresh: float = 0.5, console: Console | None = None) -> None:
        if not refresh > 0:
            raise ValueError(
                f"refresh is {refresh} and must be above 0 seconds: the default is 0.5"
            )
        self.refresh = refresh
        self._console = console
        self._progress: Progress | None = None
        self._streams: list[tuple[logging.StreamHandler, Any]] = []
        self._seen_at = 0.0
        self._seen_iter = 0
        self._started = (0.0, 0)
        self._log_interval = 1

    def before_train(self, runner: Runner) -> None:
        """Draws the bar, if there is a terminal to draw on."""
        self._started = (time.perf_counter(), runner.iter)
        loggers = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]
        self._log_interval = min(loggers, default=1)
        console = self._console or Console(file=sys.stderr)
        if not (is_main_process() and console.is_terminal):
            return
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[facts]}"),
            TimeElapsedColumn(),
            console=console,
            auto_refresh=False,
        )
        self._progress.add_task(
            self._title(runner), total=runner.max_iters, completed=runner.iter, facts=""
        )
        self._progress.start()
        # A run that ends by an exception never comes to after_train; the terminal needs its cursor back all the same.
        atexit.register(self._close)
        self._redirect(runner.logger, console)
        self._seen_at, self._seen_iter = time.perf_counter(), runner.iter

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Notes the speed, and redraws the bar if it is time to."""
        written = self.every_n_inner_iters(batch_idx, self._log_interval)
        if written or self.end_of_epoch(runner.train_dataloader, batch_idx):
            _note_speed(runner)
        if self._progress is None or time.perf_counter() - self._seen_at < self.refresh:
            return
        self._update(runner, runner.iter + 1)

    def after_train(self, runner: Runner) -> None:
        """Completes the bar, gives the terminal back, and says what came out."""
        if self._progress is not None:
            self._update(runner, runner.iter)
            self._close()
        started, first = self._started
        if runner.iter > first:
            for line in outcome(runner, time.perf_counter() - started, runner.iter - first):
                runner.logger.info(line)

    def _update(self, runner: Runner, done: int) -> None:
        """Draws what is known after ``done`` iterations."""
        assert self._progress is not None
        now = time.perf_counter()
        speed = (done - self._seen_iter) / max(now - self._seen_at, 1e-9)
        images = total_batch(runner.train_dataloader) or 1
        facts = [f"{speed * images:.0f} images/s"] if done > self._seen_iter else []
        if "train/loss" in runner.message_hub.log_scalars:
            facts.append(f"loss {runner.message_hub.get_scalar('train/loss').current():.4f}")
        for metric in MEASURED:
            if f"val/{metric}" in runner.message_hub.log_scalars:
                value = runner.message_hub.get_scalar(f"val/{metric}").current()
                facts.append(f"{metric} {value:.1f}")
        left = runner.message_hub.get_info("eta")
        if left is not None:
            facts.append(f"{_clock(left)} left")
        task = self._progress.task_ids[0]
        self._progress.update(
            task,
            completed=done,
            description=self._title(runner),
            facts=" · ".join(facts),
            refresh=True,
        )
        self._seen_at, self._seen_iter = now, done

    def _title(self, runner: Runner) -> str:
        """Epoch of epochs, or just what is counted where a loop has no epochs."""
        if runner.max_epochs <= 1:
            return "training"
        return f"epoch {min(runner.epoch + 1, runner.max_epochs)}/{runner.max_epochs}"

    def _redirect(self, logger: logging.Logger, console: Console) -> None:
        """Lets log lines meant for a terminal scroll above the bar; those that go into files stay as they are."""
        for handler in logger.handlers:
            stream = getattr(handler, "stream", None)
            if type(handler) is logging.StreamHandler and stream is not None and stream.isatty():
                handler.setStream(FileProxy(console, stream))
                self._streams.append((handler, stream))

    def _close(self) -> None:
        """Stops drawing; may be called twice."""
        for handler, stream in self._streams:
            handler.setStream(stream)
        self._streams.clear()
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        atexit.unregister(self._close)


def _note_speed(runner: Runner) -> None:
    """Hands the log the images per second of the last iterations, without what lies between epochs."""
    images, hub = total_batch(runner.train_dataloader), runner.message_hub
    if images and "train/time" in hub.log_scalars:
        seconds = hub.get_scalar("train/time").mean(LAST)
        hub.update_scalar("train/images_per_s", images / max(seconds, 1e-9))


def outcome(runner: Runner, seconds: float, steps: int) -> list[str]:
    """What a run has done and what its model is worth, a line each, and what to do next.

    Args:
        runner: Its message hub holds what was measured.
        seconds: Since training began, measurements and checkpoints included.
        steps: Of this run, those before it was resumed left out.
    """
    images = total_batch(runner.train_dataloader) * steps
    speed = f", {images / max(seconds, 1e-9):.0f} images/s" if images else ""
    lines = [
        f"Trained {steps} steps in {_clock(seconds)}{speed}, measurements and checkpoints included."
    ]
    for name, history in runner.message_hub.log_scalars.items():
        metric = name.removeprefix("val/")
        if metric != name and any(word in metric for word in ACCURACIES):
            values = history.data[0]
            lines.append(f"{metric}: best {values.max():.2f}, last {values[-1]:.2f}.")
    written = [hook.last_ckpt for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    config = Path(runner.work_dir, Path(runner.cfg.filename or "").name)
    if written and written[0] and config.is_file():
        judge = ["evaluate", "linear"] if runner.cfg.get("test_dataloader") is None else ["test"]
        command = ["mixssl", *judge, str(config), str(written[0])]
        if judge != ["test"] and runner.cfg.get("knn_bank") is None:
            command += ["--data", "CONFIG_WITH_LABELLED_IMAGES"]
        lines.append(f"Next: {shlex.join(command)}")
    return lines


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, second = divmod(max(int(seconds), 0), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"
