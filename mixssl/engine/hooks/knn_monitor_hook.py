"""Says while training what the features are worth."""

from __future__ import annotations

import time
from typing import Any

from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from mixssl.engine.data_workers import leave_signals_to_main
from mixssl.evaluation.features import FEATURES, check_loader
from mixssl.evaluation.knn import check_neighbours
from mixssl.evaluation.protocols import knn_accuracy
from mixssl.evaluation.state import kept_random_state
from mixssl.registry import HOOKS
from mixssl.utils.errors import ConfigError

__all__ = ["KNNMonitorHook"]

METRIC = "knn_top1"


@HOOKS.register_module()
class KNNMonitorHook(Hook):
    """Weighted k-NN accuracy of the model in training, logged like any validation metric as ``knn_top1`` in percent.

    Evaluates before training (the weights it starts from, be they random, loaded or resumed), every ``interval`` epochs
    and at the end, after the epoch's checkpoint is written. Training is bit by bit what it is without the hook: modes,
    BatchNorm statistics and random states stay, and iteration times leave the evaluation out. With
    ``default_hooks.checkpoint.save_best='knn_top1'`` the best weights are kept. Every rank computes its share.

    In an iteration-based loop there are no epochs: it evaluates before and after training, against the iteration.

    Args:
        bank: Config of the data loader whose images are the neighbours: one plain view, labels, in known order. None is
            ``knn_bank`` of the run's config.
        query: Config of the data loader whose images are classified. None is ``knn_query`` of the run's config.
        feature: "backbone" (pooled) or "projected" (after the neck).
        tokens: For backbones that return all tokens: "cls" or "avg".
        k: Number of neighbours, at most the size of the bank.
        temperature: Of the vote exp(similarity / temperature), > 0.
        interval: Epochs between evaluations, at least 1.
        before_train: Whether to evaluate the weights that training starts from.
        query_chunk: Queries compared at a time; bounds the memory with ``bank_chunk``.
        bank_chunk: Bank images compared at a time. Features lie on the CPU, the chunks on the model's device.

    Raises:
        ConfigError: A setting out of range (at once), or no loader, a k beyond the bank, an empty data set or a loader
            in unknown order (before training starts).
    """

    # The timer of iterations starts at NORMAL: what comes before it in an epoch is not counted.
    priority = "ABOVE_NORMAL"

    def __init__(
        self,
        bank: dict | DataLoader | None = None,
        query: dict | DataLoader | None = None,
        feature: str = "backbone",
        tokens: str = "cls",
        k: int = 200,
        temperature: float = 0.1,
        interval: int = 1,
        before_train: bool = True,
        query_chunk: int = 256,
        bank_chunk: int = 65536,
    ) -> None:
        if feature not in FEATURES:
            known = " or ".join(map(repr, FEATURES))
            raise ConfigError(f"KNNMonitorHook: feature is {feature!r}; choose {known}.")
        for name, value in {
            "interval": interval,
            "k": k,
            "query_chunk": query_chunk,
            "bank_chunk": bank_chunk,
        }.items():
            if value < 1:
                raise ConfigError(f"KNNMonitorHook: {name} is {value}; it must be at least 1.")
        if temperature <= 0:
            raise ConfigError(
                f"KNNMonitorHook: temperature is {temperature}; it must be above 0 (0.1 is usual)."
            )
        self.bank = bank
        self.query = query
        self.interval = interval
        self.evaluate_first = before_train
        self.settings: dict[str, Any] = {
            "feature": feature,
            "tokens": tokens,
            "k": k,
            "temperature": temperature,
            "query_chunk": query_chunk,
            "bank_chunk": bank_chunk,
        }
        self._bank: DataLoader
        self._query: DataLoader
        self._started_at = 0
        self._seen: tuple[int, int] | None = None

    def before_train(self, runner: Runner) -> None:
        """Build both loaders, check them, and evaluate the weights that training starts from."""
        with kept_random_state():
            self._bank = self._build(runner, "bank", self.bank)
            self._query = self._build(runner, "query", self.query)
            for loader in (self._bank, self._query):
                leave_signals_to_main(loader)
            try:
                check_loader(self._bank)
                check_loader(self._query)
                check_neighbours(self.settings["k"], len(self._bank.dataset))  # type: ignore[arg-type]
            except ValueError as error:
                raise ConfigError(f"KNNMonitorHook: {error}") from error
        self._started_at = runner.epoch
        if self.evaluate_first:
            self._evaluate(runner)

    @staticmethod
    def _build(runner: Runner, name: str, loader: dict | DataLoader | None) -> DataLoader:
        """Build a loader: the hook's own, or else the one that the run's config has for it."""
        if loader is None:
            loader = runner.cfg.get(f"knn_{name}")
        if loader is None:
            raise ConfigError(
                f"KNNMonitorHook: {name} is None, and the config has no knn_{name} to take in its place: give either, "
                "for instance by inheriting one of configs/_base_/datasets/"
            )
        return runner.build_dataloader(loader, seed=runner.seed)

    def before_train_epoch(self, runner: Runner) -> None:
        """Evaluate the epochs so far, if it is their turn.

        Not after the epoch: here it is counted, its checkpoint is safe, and the timer of iterations has not started.
        """
        if runner.epoch > self._started_at and runner.epoch % self.interval == 0:
            self._keep_best(runner, self._evaluate(runner))

    def after_train(self, runner: Runner) -> None:
        """Evaluate the last weights, whatever the interval."""
        if self._seen != (runner.epoch, runner.iter):
            self._keep_best(runner, self._evaluate(runner))

    def _evaluate(self, runner: Runner) -> float:
        """Compute the accuracy and log it; all ranks take part and get the same figure."""
        start = time.perf_counter()
        top1 = knn_accuracy(runner.model, self._bank, self._query, **self.settings)
        seconds = time.perf_counter() - start
        self._seen = (runner.epoch, runner.iter)
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        step = runner.epoch if by_epoch else runner.iter
        runner.message_hub.update_scalar(f"val/{METRIC}", top1)
        prefix = "val/" if runner.log_processor.log_with_hierarchy else ""
        runner.visualizer.add_scalars(
            {f"{prefix}{METRIC}": top1, f"{prefix}knn_seconds": round(seconds, 3)},
            step=step,
            file_path=f"{runner.timestamp}.json",
        )
        runner.logger.info(
            f"{'Epoch' if by_epoch else 'Iter'}(val) [{step}]  {METRIC}: {top1:.2f}  "
            f"(k {self.settings['k']}, {self.settings['feature']}, {seconds:.1f} s)"
        )
        return top1

    def _keep_best(self, runner: Runner, top1: float) -> None:
        """Tell the checkpoint hook that asks for this metric; without a validation loop nobody else does."""
        for hook in runner.hooks:
            if (
                isinstance(hook, CheckpointHook)
                and hook.save_best
                and hook.key_indicators == [METRIC]
            ):
                hook.after_val_epoch(runner, {METRIC: top1})
