"""Says while training what the features are worth."""

from typing import Any

from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mixssl.engine.hooks.monitor import FeatureMonitor
from mixssl.evaluation.features import check_feature
from mixssl.evaluation.knn import check_neighbours
from mixssl.evaluation.protocols import knn_accuracy
from mixssl.registry import HOOKS
from mixssl.utils.errors import ConfigError, require_at_least
from mixssl.utils.random_state import kept_random_state


@HOOKS.register_module()
class KNNMonitorHook(FeatureMonitor):
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

    metric = "knn_top1"

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
        check_feature(feature, "KNNMonitorHook: ")
        super().__init__(interval)
        require_at_least(1, "KNNMonitorHook: ", k=k, query_chunk=query_chunk, bank_chunk=bank_chunk)
        if temperature <= 0:
            raise ConfigError(
                f"KNNMonitorHook: temperature is {temperature}; it must be above 0 (0.1 is usual)."
            )
        self.bank = bank
        self.query = query
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

    def before_train(self, runner: Runner) -> None:
        """Build both loaders, check them, and evaluate the weights that training starts from."""
        super().before_train(runner)
        with kept_random_state():
            self._bank = self.build_loader(runner, self._given(runner, "bank", self.bank))
            self._query = self.build_loader(runner, self._given(runner, "query", self.query))
        try:
            check_neighbours(self.settings["k"], len(self._bank.dataset))  # type: ignore[arg-type]
        except ValueError as error:
            raise ConfigError(f"KNNMonitorHook: {error}") from error
        if self.evaluate_first:
            self.measure_and_log(runner, trained=False)

    def measure(self, runner: Runner) -> float:
        """The accuracy in percent."""
        return knn_accuracy(runner.model, self._bank, self._query, **self.settings)

    def settings_in_words(self) -> str:
        """Neighbours and features."""
        return f"k {self.settings['k']}, {self.settings['feature']}"

    @staticmethod
    def _given(runner: Runner, name: str, loader: dict | DataLoader | None) -> dict | DataLoader:
        """The hook's own loader, or else the one that the run's config has for it."""
        if loader is None:
            loader = runner.cfg.get(f"knn_{name}")
        if loader is None:
            raise ConfigError(
                f"KNNMonitorHook: {name} is None, and the config has no knn_{name} to take in its place: give either, "
                "for instance by inheriting one of configs/_base_/datasets/"
            )
        return loader
