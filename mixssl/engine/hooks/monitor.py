"""What hooks that judge the features in training share: when they do it, and how the figure is logged."""

import time
from abc import abstractmethod
from typing import ClassVar

from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from mixssl.datasets.named_failures import name_failures
from mixssl.engine.data_workers import leave_signals_to_main
from mixssl.evaluation.features import check_loader
from mixssl.utils.errors import ConfigError, require_at_least


class FeatureMonitor(Hook):
    """Measures the model every ``interval`` epochs and at the end, after the epoch's checkpoint is written.

    The figure is logged like any validation metric, and the checkpoint hook that asks for it with ``save_best`` is
    told. In an iteration-based loop there are no epochs: it is measured against the iteration.

    Attributes:
        metric: Name of the figure.
        others: Further figures of the latest measurement, which are logged beside it.

    Args:
        interval: Epochs between two measurements, at least 1.

    Raises:
        ConfigError: An interval below 1.
    """

    metric: ClassVar[str]
    # The timer of iterations starts at NORMAL: what comes before it in an epoch is not counted.
    priority = "ABOVE_NORMAL"

    def __init__(self, interval: int = 1) -> None:
        require_at_least(1, f"{type(self).__name__}: ", interval=interval)
        self.interval = interval
        self.others: dict[str, float] = {}
        self._started_at = 0
        self._seen: tuple[int, int] | None = None

    @abstractmethod
    def measure(self, runner: Runner) -> float | None:
        """The figure, the same on every rank; None where there is nothing to measure."""

    @abstractmethod
    def settings_in_words(self) -> str:
        """What a log line says about how it was measured."""

    def before_train(self, runner: Runner) -> None:
        """Notes where training starts; call it from overrides."""
        self._started_at = runner.epoch

    def before_train_epoch(self, runner: Runner) -> None:
        """Measures the epochs so far, if it is their turn.

        Not after the epoch: here it is counted, its checkpoint is safe, and the timer of iterations has not started.
        """
        if runner.epoch > self._started_at and runner.epoch % self.interval == 0:
            self.measure_and_log(runner, trained=True)

    def after_train(self, runner: Runner) -> None:
        """Measures the last weights, whatever the interval."""
        if self._seen != (runner.epoch, runner.iter):
            self.measure_and_log(runner, trained=True)

    def measure_and_log(self, runner: Runner, trained: bool) -> None:
        """Measures and logs; all ranks take part. Weights that this run has trained may become the best ones."""
        start = time.perf_counter()
        value = self.measure(runner)
        self._seen = (runner.epoch, runner.iter)
        if value is None:
            return
        seconds = time.perf_counter() - start
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        step = runner.epoch if by_epoch else runner.iter
        figures = {self.metric: value, **self.others}
        for key, figure in figures.items():
            runner.message_hub.update_scalar(f"val/{key}", figure)
        prefix = "val/" if runner.log_processor.log_with_hierarchy else ""
        name = self.metric.partition("_")[0]
        runner.visualizer.add_scalars(
            {
                **{f"{prefix}{key}": figure for key, figure in figures.items()},
                f"{prefix}{name}_seconds": round(seconds, 3),
            },
            step=step,
            file_path=f"{runner.timestamp}.json",
        )
        runner.logger.info(
            f"{'Epoch' if by_epoch else 'Iter'}(val) [{step}]  {self.metric}: {value:.2f}  "
            f"({self.settings_in_words()}, {seconds:.1f} s)"
        )
        if trained:
            self._keep_best(runner, value)

    def build_loader(self, runner: Runner, loader: dict | DataLoader) -> DataLoader:
        """Builds a loader of plain labelled views, and checks that its order is known.

        Raises:
            ConfigError: It can't be used.
        """
        built: DataLoader = runner.build_dataloader(loader, seed=runner.seed)
        leave_signals_to_main(built)
        name_failures(built)
        try:
            check_loader(built)
        except ValueError as error:
            raise ConfigError(f"{type(self).__name__}: {error}") from error
        return built

    def _keep_best(self, runner: Runner, value: float) -> None:
        """Tells the checkpoint hook that asks for this metric; without a validation loop nobody else does."""
        for hook in runner.hooks:
            if (
                isinstance(hook, CheckpointHook)
                and hook.save_best
                and hook.key_indicators == [self.metric]
            ):
                hook.after_val_epoch(runner, {self.metric: value})
