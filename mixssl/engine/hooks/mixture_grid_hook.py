"""Shows while training what the mixtures look like."""

from __future__ import annotations

import time
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor, nn

from mixssl.evaluation.state import in_evaluation
from mixssl.mixing import Saliency
from mixssl.models.parts import Clusters
from mixssl.registry import HOOKS
from mixssl.utils.errors import ConfigError
from mixssl.visualization import clean_views, figure_pixels, mixture_figure, sample_mixtures

__all__ = ["MixtureGridHook"]

_BY_EPOCH = "mixtures_epoch"
_BY_ITER = "mixtures_iter"
_IMAGES = 32
"""Images that are mixed for a grid; few would often be mixed with themselves."""


@HOOKS.register_module(name="MixtureGrid")
class MixtureGridHook(Hook):
    """Writes a grid of mixtures to the run's visualizer: own image, partner, mask, mixture and λ, for every mixer.

    Learned masks are those of the model at that moment. The first grid is drawn before the first step, then there is
    one every ``interval`` epochs (``mixtures_epoch``), every ``iter_interval`` iterations (``mixtures_iter``), and one
    at the end. Training is bit by bit what it is without the hook: no random state moves, modes and statistics stay,
    and only the first rank draws, without asking the others for anything. A run without a mixer gets no grid.

    Args:
        num: Mixtures in a grid, at least 1.
        interval: Epochs between grids, at least 1; None for none by epochs. Read in epoch-based loops only.
        iter_interval: Iterations between grids, at least 1; None for none by iterations.
        fixed: Whether all grids show the same images, λ and partners, so that what changes is what was learned: those
            of the first batch (after resuming, of the first batch since). Otherwise each grid shows the latest batch.
        seed: Of λ, partners and regions, in [0, 2^63).

    Raises:
        ConfigError: A setting out of range (at once), or, in an iteration-based loop, no ``iter_interval``.
    """

    # Before the timer of iterations starts, so that it leaves the drawing between epochs out.
    priority = "ABOVE_NORMAL"
    of_mixtures = True

    def __init__(
        self,
        num: int = 8,
        interval: int | None = 10,
        iter_interval: int | None = None,
        fixed: bool = True,
        seed: int = 0,
    ) -> None:
        for name, value in {
            "num": num,
            "interval": interval,
            "iter_interval": iter_interval,
        }.items():
            if value is not None and value < 1:
                raise ConfigError(f"MixtureGrid: {name} is {value}; it must be at least 1.")
        if interval is None and iter_interval is None:
            raise ConfigError("MixtureGrid: interval and iter_interval are both None; set one.")
        if not 0 <= seed < 2**63:
            raise ConfigError(f"MixtureGrid: seed is {seed}; it must lie in [0, 2^63).")
        self.num = num
        self.interval = interval
        self.iter_interval = iter_interval
        self.fixed = fixed
        self.seed = seed
        self._active = self._started = False
        self._views: list[Tensor] | None = None
        self._batch: Any = None
        self._samples: list[Any] = []
        self._drawn: dict[str, int] = {}

    def before_train(self, runner: Runner) -> None:
        """Looks whether there is anything to draw."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop) and self.iter_interval is None:
            raise ConfigError(
                "MixtureGrid: this run counts iterations and iter_interval is None; set it, for instance to 1000."
            )
        mixes = getattr(_unwrapped(runner), "mixer", None) is not None
        if not mixes:
            runner.logger.info("MixtureGrid: this run has no mixer, so there is nothing to draw.")
        self._active = mixes and is_main_process()
        self._started, self._views, self._drawn = False, None, {}

    def before_train_epoch(self, runner: Runner) -> None:
        """Draws after the epochs so far, if it is their turn."""
        if self._by_epoch(runner) and self._started:
            assert self.interval is not None
            if runner.epoch % self.interval == 0:
                self._draw(runner, _BY_EPOCH, runner.epoch)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Draws from the first batch what the weights do that training starts from."""
        if self._active and not (self.fixed and self._started):
            self._batch = data_batch
        if self._active and not self._started:
            self._started = True
            self._draw_due(runner)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draws after the iterations so far, if it is their turn."""
        if self._active and self.iter_interval and (runner.iter + 1) % self.iter_interval == 0:
            self._draw(runner, _BY_ITER, runner.iter + 1)

    def after_train(self, runner: Runner) -> None:
        """Draws what the last weights do, whatever the intervals, and lets the batch go."""
        if self._started:
            self._draw_due(runner)
        self._batch = self._views = None
        self._samples = []

    def _by_epoch(self, runner: Runner) -> bool:
        """Whether grids are drawn by epochs here."""
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        return self._active and self.interval is not None and by_epoch

    def _draw_due(self, runner: Runner) -> None:
        """Draws by whatever is counted, unless it has been drawn at this count."""
        due = {_BY_EPOCH: runner.epoch} if self._by_epoch(runner) else {}
        if self.iter_interval is not None:
            due[_BY_ITER] = runner.iter
        for name, step in due.items():
            if self._drawn.get(name) != step:
                self._draw(runner, name, step)

    def _draw(self, runner: Runner, name: str, step: int) -> None:
        """Draws a grid and hands it to the visualizer."""
        start = time.perf_counter()
        model = _unwrapped(runner)
        with in_evaluation(model):
            views = self._look(model)
            seed = self.seed if self.fixed else (self.seed + step) % 2**63
            clusters = self._clusters(model)
            mixtures = sample_mixtures(model.mixer, views, self.num, seed, clusters)
            if any(mixture.learned for mixture in mixtures):
                mixtures = model.render_mixtures(views, mixtures)
            norm = _normalisation(model.data_preprocessor)
            title = f"Mixtures after {step} {'epochs' if name == _BY_EPOCH else 'iterations'}"
            figure = mixture_figure(views, mixtures, *norm, title=title)
        runner.visualizer.add_image(name, figure_pixels(figure), step=step)
        self._drawn[name] = step
        runner.logger.info(f"{name} {step}: drawn in {time.perf_counter() - start:.1f} s")

    def _clusters(self, model: Any) -> tuple[Tensor, Saliency] | None:
        """Clusters of the images and what matters to them, where the mixer asks for them."""
        if not model.mixer.clusters:
            return None
        (part,) = (part for part in model.parts if isinstance(part, Clusters))
        _, labels, saliency = part.look_up(model, self._samples)
        return labels, saliency

    def _look(self, model: Any) -> list[Tensor]:
        """Views to mix: of the first batch or of the latest."""
        if self._views is not None:
            return [view.to(next(model.parameters()).device) for view in self._views]
        views = clean_views(model.data_preprocessor, self._batch, _IMAGES)
        self._samples = (self._batch.get("data_samples") or [])[:_IMAGES]
        if self.fixed:
            self._views, self._batch = [view.cpu() for view in views], None
        return views


def _unwrapped(runner: Runner) -> Any:
    """The model without its distributed wrapper."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _normalisation(preprocessor: nn.Module) -> tuple[list[float] | None, list[float] | None]:
    """Mean and standard deviation per channel, in [0, 255], if the preprocessor normalises."""
    if not getattr(preprocessor, "_enable_normalize", False):
        return None, None
    mean, std = (getattr(preprocessor, name).flatten().tolist() for name in ("mean", "std"))
    return mean, std
