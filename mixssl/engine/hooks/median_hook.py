"""The median of the last few validations, which papers report where single epochs are noisy."""

from collections.abc import Mapping
from statistics import median

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mixssl.registry import HOOKS
from mixssl.utils.errors import ConfigError, require_at_least


@HOOKS.register_module()
class MedianHook(Hook):
    """Logs the median of a metric over the last validations, after each of them.

    AMix records the median of the last ten epochs' test accuracy (§4.1). The values are kept in the MessageHub, hence
    in every checkpoint; a resumed run goes on with them, without that of the epoch it resumes from, whose checkpoint
    was written before its validation. The visualisation backends get it as ``<metric>_median``.

    Args:
        metric: Key of the validation's results, like "accuracy/top1".
        last: How many validations, >= 1.

    Raises:
        ConfigError: If ``last`` is below 1, or the validation gives no such metric.
    """

    def __init__(self, metric: str = "accuracy/top1", last: int = 10) -> None:
        require_at_least(1, "MedianHook: ", last=last)
        self.metric = metric
        self.last = last

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Adds this validation's value and logs the median."""
        if not metrics or self.metric not in metrics:
            found = ", ".join(metrics or {}) or "nothing"
            raise ConfigError(
                f"MedianHook waits for the metric {self.metric!r} and the validation gives {found}: name one of those, "
                "or add it to val_evaluator"
            )
        name = f"{self.metric}_last_{self.last}"
        values = [*runner.message_hub.runtime_info.get(name, []), float(metrics[self.metric])]
        values = values[-self.last :]
        runner.message_hub.update_info(name, values)
        value = median(values)
        runner.logger.info(f"Median of {self.metric} over {len(values)} validations: {value:.4f}")
        runner.visualizer.add_scalar(f"{self.metric}_median", value, step=runner.epoch)
