"""Shows while training what the mixtures look like."""

import time
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor

from mixssl.evaluation.state import in_evaluation
from mixssl.mixing import Saliency
from mixssl.models.parts import Clusters
from mixssl.registry import HOOKS
from mixssl.utils.distributed import unwrap
from mixssl.utils.errors import ConfigError, require_at_least
from mixssl.visualization import clean_views, figure_pixels, mixture_figure, sample_mixtures


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
        require_at_least(
            1, "MixtureGrid: ", num=num, interval=interval, iter_interval=iter_interval
        )
        if interval is None and iter_interval is None:
            raise ConfigError("MixtureGrid: interval and iter_interval are both None; set one.")
        if not 0 <= seed < 2**63:
            raise ConfigError(f"MixtureGrid: seed is {seed}; it must lie in [0, 2^63).")
        self.num = num
        self.interval = interval
        self.iter_interval = iter_interval
        self.fixed = fixed
        self.seed = seed
        self._intervals: dict[str, int | None] = {}
        self._drawn: dict[str, int] = {}
        self._views: list[Tensor] | None = None
        self._batch: Any = None
        self._samples: list[Any] = []

    def before_train(self, runner: Runner) -> None:
        """Looks whether there is anything to draw, and by what it is counted."""
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if not by_epoch and self.iter_interval is None:
            raise ConfigError(
                "MixtureGrid: this run counts iterations and iter_interval is None; set it, for instance to 1000."
            )
        self._intervals, self._drawn, self._views = {}, {}, None
        if getattr(unwrap(runner.model), "mixer", None) is None:
            runner.logger.info("MixtureGrid: this run has no mixer, so there is nothing to draw.")
        elif is_main_process():
            self._intervals = {
                "epoch": self.interval if by_epoch else None,
                "iter": self.iter_interval,
            }

    def before_train_epoch(self, runner: Runner) -> None:
        """Draws after the epochs so far, if it is their turn."""
        if self._drawn:
            self._draw_due(runner, {"epoch": runner.epoch})

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Draws from the first batch what the weights do that training starts from."""
        if self._intervals and not (self.fixed and self._drawn):
            self._batch = data_batch
            if not self._drawn:
                self._draw_due(runner, {"epoch": runner.epoch, "iter": runner.iter}, always=True)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draws after the iterations so far, if it is their turn."""
        self._draw_due(runner, {"iter": runner.iter + 1})

    def after_train(self, runner: Runner) -> None:
        """Draws what the last weights do, whatever the intervals, and lets the batch go."""
        if self._drawn:
            self._draw_due(runner, {"epoch": runner.epoch, "iter": runner.iter}, always=True)
        self._batch, self._views, self._samples = None, None, []

    def _draw_due(self, runner: Runner, counts: dict[str, int], always: bool = False) -> None:
        """Draws by each count whose turn it is, or by all, but never twice at the same count."""
        for name, step in counts.items():
            interval = self._intervals.get(name)
            if interval and self._drawn.get(name) != step and (always or step % interval == 0):
                self._draw(runner, name, step)

    def _draw(self, runner: Runner, name: str, step: int) -> None:
        """Draws a grid and hands it to the visualizer."""
        start = time.perf_counter()
        model: Any = unwrap(runner.model)
        with in_evaluation(model):
            views = self._look(model)
            seed = self.seed if self.fixed else (self.seed + step) % 2**63
            mixtures = sample_mixtures(model.mixer, views, self.num, seed, self._clusters(model))
            if any(mixture.learned for mixture in mixtures):
                mixtures = model.render_mixtures(views, mixtures)
            preprocessor, norm = model.data_preprocessor, {}
            if preprocessor._enable_normalize:
                norm = {
                    key: getattr(preprocessor, key).flatten().tolist() for key in ("mean", "std")
                }
            title = f"Mixtures after {step} {'epochs' if name == 'epoch' else 'iterations'}"
            figure = mixture_figure(views, mixtures, **norm, title=title)
        runner.visualizer.add_image(f"mixtures_{name}", figure_pixels(figure), step=step)
        self._drawn[name] = step
        seconds = time.perf_counter() - start
        runner.logger.info(f"mixtures_{name} {step}: drawn in {seconds:.1f} s")

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
        views = clean_views(model.data_preprocessor, self._batch)
        self._samples = (self._batch.get("data_samples") or [])[: len(views[0])]
        if self.fixed:
            self._views, self._batch = [view.cpu() for view in views], None
        return views
