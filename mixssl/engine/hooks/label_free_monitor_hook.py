"""Says while training whether anything is learned, on images held back and without a label."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import broadcast_object_list
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader

from mixssl.augmentation import Views
from mixssl.engine.hooks.monitor import FeatureMonitor
from mixssl.evaluation.features import FEATURES, check_feature
from mixssl.evaluation.geometry import alignment, uniformity
from mixssl.evaluation.state import undisturbed
from mixssl.evaluation.without_labels import feature_std, lidar, rank_me
from mixssl.registry import HOOKS
from mixssl.utils.config_checks import preprocessor_of
from mixssl.utils.distributed import unwrap
from mixssl.utils.errors import require_at_least
from mixssl.utils.random_state import kept_random_state

FLAT = 0.1
"""Share of the even spread 1/√D below which features have collapsed to a point."""
FEW = 2.0
"""Directions below which they have collapsed to a line."""
COLLAPSED = (
    "the features have collapsed: {why}. Learn more slowly (optim_wrapper.optimizer.lr), take a larger batch or a "
    "contrastive method (SimCLR, MoCo), or look whether the images differ at all"
)


@HOOKS.register_module()
class LabelFreeMonitorHook(FeatureMonitor):
    """RankMe, LiDAR, spread, alignment and uniformity of the backbone's features, every ``interval`` epochs.

    Measured before training too, and logged under ``val/`` as ``rankme``, ``lidar``, ``feature_std`` (times √D: 1 is
    even), ``alignment`` and ``uniformity``. With ``default_hooks.checkpoint.save_best='rankme'`` the weights with the
    highest RankMe are kept. Training is bit by bit what it is without the hook. Of several processes the figures of the
    first count, on its share of the images. Features that collapse are said in words, as a warning.

    Args:
        images: Config of a data loader of plain images, one size, in known order: not those trained on.
        views: Arguments of :class:`~mixssl.augmentation.Views`, as training makes them; None takes those of the run's
            data preprocessor. Without any, LiDAR and alignment are left out.
        most: Images looked at, at most.
        lidar_images: Of these, images that LiDAR looks at.
        lidar_views: Views of each of them, at least 2.
        interval: Epochs between two measurements, at least 1.
        feature: "backbone" (pooled) or "projected" (after the neck).

    Raises:
        ConfigError: A setting out of range, or a loader in unknown order.
    """

    metric = "rankme"

    def __init__(
        self,
        images: dict | DataLoader,
        views: Mapping[str, Any] | None = None,
        most: int = 2048,
        lidar_images: int = 256,
        lidar_views: int = 8,
        interval: int = 1,
        feature: str = "backbone",
    ) -> None:
        super().__init__(interval)
        require_at_least(1, "LabelFreeMonitorHook: ", most=most, lidar_images=lidar_images)
        require_at_least(2, "LabelFreeMonitorHook: ", lidar_views=lidar_views)
        check_feature(feature, "LabelFreeMonitorHook: ")
        self.images, self.views, self.most = images, views, most
        self.lidar_images, self.lidar_views = lidar_images, lidar_views
        self.feature = feature
        self._loader: DataLoader

    def before_train(self, runner: Runner) -> None:
        """Builds the loader, and measures the weights that training starts from."""
        super().before_train(runner)
        with kept_random_state():
            self._loader = self.build_loader(runner, self.images)
        if self.views is None:
            self.views = preprocessor_of(runner.cfg).get("views")
        self.measure_and_log(runner, trained=False)

    def measure(self, runner: Runner) -> float | None:
        """RankMe; the other figures go into ``others``."""
        # All processes measure, since evaluation mode is entered together, and the first one's figures count for all.
        found = [self._figures(runner.model)]
        broadcast_object_list(found)
        (figures,) = found
        self.others = {name: value for name, value in figures.items() if name != self.metric}
        why = verdict(figures)
        if why and runner.iter:
            runner.logger.warning(COLLAPSED.format(why=why))
        return figures.get(self.metric)

    def settings_in_words(self) -> str:
        """The other figures."""
        return ", ".join(f"{name} {value:.3f}" for name, value in self.others.items())

    @torch.no_grad()
    def _figures(self, wrapped: torch.nn.Module) -> dict[str, float]:
        """All figures of a model."""
        model: Any = unwrap(wrapped)
        compute = FEATURES[self.feature]
        views = None
        if self.views is not None:
            # Drawn anew from the same seed each time: the same crops, so that what changes is what was learned.
            views = Views(
                **{
                    **self.views,
                    "num_views": 1,
                    "transforms": self.views["transforms"][:1],
                    "seed": 0,
                }
            )
        whole: list[Tensor] = []
        several: list[Tensor] = []
        with kept_random_state(), undisturbed(model):
            device = next(model.parameters()).device
            with torch.autocast(device.type, enabled=False):
                for batch in self._loader:
                    plain = model.data_preprocessor(batch, False)["inputs"]
                    whole.append(compute(model, _only(plain), "cls").float().cpu())
                    left = self.lidar_images - sum(map(len, several))
                    if views is not None and left > 0:
                        several.append(
                            self._views_of_images(model, _only(batch["inputs"])[:left], views)
                        )
                    if sum(map(len, whole)) >= self.most:
                        break
        return figures_of(torch.cat(whole)[: self.most], torch.cat(several) if several else None)

    def _views_of_images(self, model: Any, images: Tensor, views: Views) -> Tensor:
        """Features of several views of images, (N, V, D)."""
        compute = FEATURES[self.feature]
        preprocessor = model.data_preprocessor
        parts = []
        for _ in range(self.lidar_views):
            seen = preprocessor.make_views(images, views)[0]
            parts.append(compute(model, seen, "cls").float().cpu())
        return torch.stack(parts, dim=1)


def figures_of(features: Tensor, views: Tensor | None) -> dict[str, float]:
    """All figures of features (N, D) and of features of views (N, V, D)."""
    found = {"rankme": rank_me(features)}
    if views is not None and len(views) > 1:
        found["lidar"] = lidar(views)
    if len(features) > 1:
        found["feature_std"] = feature_std(features) * features.shape[1] ** 0.5
        found["uniformity"] = uniformity(features)
    if views is not None:
        found["alignment"] = alignment(views[:, 0], views[:, 1])
    return found


def verdict(figures: Mapping[str, float]) -> str:
    """Why features must be called collapsed; empty where they need not."""
    spread = figures.get("feature_std")
    if spread is not None and spread < FLAT:
        return f"all images have nearly the same one (spread {spread:.3f}, where 1 is even)"
    directions = figures.get("lidar", figures.get("rankme"))
    if directions is not None and directions < FEW:
        return f"they use {directions:.2f} directions"
    return ""


def _only(inputs: Tensor | Sequence[Tensor]) -> Tensor:
    return inputs if isinstance(inputs, Tensor) else inputs[0]
