"""Gives online deep clustering its start, and says what becomes of the clusters."""

import copy
import time
from typing import Any

import torch
from mmengine.dataset import Compose
from mmengine.dist import broadcast, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from mixssl.engine.data_workers import leave_signals_to_main
from mixssl.evaluation.features import extract_features
from mixssl.models.memory import ODC
from mixssl.registry import HOOKS
from mixssl.structures import EmbeddingId, View
from mixssl.utils.distributed import unwrap
from mixssl.utils.errors import ConfigError, require_at_least
from mixssl.utils.random_state import kept_random_state


@HOOKS.register_module()
class ODCHook(Hook):
    """Fills the memory of ``model.clusters`` by k-means before training, unless a checkpoint has filled it.

    Takes the embeddings of all training images, each from one plain view, in evaluation mode, and clusters them with
    scikit-learn's MiniBatchKMeans on the first rank. Model and random states are afterwards as before. Nothing else has
    to be called from outside: the memory writes batches, centroids and splits by itself after each optimizer step; its
    intervals are arguments of :class:`~mixssl.models.memory.ODC`. After each epoch of an epoch-based loop the sizes of
    the clusters and the share of images that changed theirs are logged. A model without clusters, a baseline say, is
    left alone.

    Args:
        pipeline: Transforms that make one plain view of an image, ending with PackInputs. None is the pipeline of
            ``knn_bank`` of the run's config.
        batch_size: Of the extraction, per device.
        num_workers: Of the extraction; None is that of the training loader.
        seed: Of k-means, in [0, 2^32).
        num_init: Starts of k-means, the best of which is kept, >= 1.

    Raises:
        ConfigError: A setting out of range (at once); before training starts, a training set that is wrapped, of
            another length than the memory, or whose samples don't say their place, or no pipeline.
    """

    of_mixtures = True

    def __init__(
        self,
        pipeline: list[dict] | None = None,
        batch_size: int = 256,
        num_workers: int | None = None,
        seed: int = 0,
        num_init: int = 3,
    ) -> None:
        require_at_least(1, "ODCHook: ", batch_size=batch_size, num_init=num_init)
        if not 0 <= seed < 2**32:
            raise ConfigError(f"ODCHook: seed is {seed}; it must lie in [0, 2^32).")
        self.pipeline = pipeline
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.num_init = num_init
        self._before: Tensor | None = None

    def before_train(self, runner: Runner) -> None:
        """Check what can be checked, and fill the memory if it is empty."""
        self._before = None
        clusters = _clusters(runner)
        if clusters is None:
            runner.logger.info("ODCHook: this run has no clusters, so there is nothing to start.")
            return
        dataset = runner.train_dataloader.dataset
        _check_dataset(dataset, clusters)
        if clusters.is_filled:
            runner.logger.info("ODCHook: the memory is filled already; k-means is left out.")
            return
        start = time.perf_counter()
        features = self._features(runner, dataset)
        labels = self._first_labels(features, clusters.num_clusters)
        device = clusters.labels.device
        labels = labels.to(device)
        broadcast(labels, src=0)
        clusters.start(features, labels)
        runner.logger.info(
            f"ODCHook: {clusters.num_clusters} clusters of {len(features)} images by k-means, "
            f"{_span(clusters)} images each ({time.perf_counter() - start:.1f} s)"
        )

    def _features(self, runner: Runner, dataset: Any) -> Tensor:
        """Embeddings of all images, (N, D), on the CPU, in the order of the data set."""
        steps = self.pipeline
        if steps is None:
            bank = (runner.cfg.get("knn_bank") or {}).get("dataset", {})
            while "pipeline" not in bank and "dataset" in bank:  # held in memory, say
                bank = bank["dataset"]
            steps = bank.get("pipeline")
        if steps is None:
            raise ConfigError(
                "ODCHook: pipeline is None, and the config has no knn_bank to take it from: give the transforms of "
                "one plain view, for instance those of linear evaluation, ending with PackInputs"
            )
        plain = copy.copy(dataset)
        with kept_random_state():
            plain.pipeline = Compose(steps)
            workers = self.num_workers
            loader: DataLoader = runner.build_dataloader(
                {
                    "dataset": plain,
                    "batch_size": self.batch_size,
                    "num_workers": runner.train_dataloader.num_workers
                    if workers is None
                    else workers,
                    "sampler": {"type": "DefaultSampler", "shuffle": False},
                    "collate_fn": {"type": "default_collate"},
                }
            )
            leave_signals_to_main(loader)
            try:
                return extract_features(runner.model, loader, _embedding).features
            except ValueError as error:
                raise ConfigError(f"ODCHook: {error}") from error

    def _first_labels(self, features: Tensor, clusters: int) -> Tensor:
        """Labels by k-means, (N,), int64; on other ranks than the first a place for them."""
        if not is_main_process():
            return torch.zeros(len(features), dtype=torch.int64)
        kmeans = MiniBatchKMeans(
            clusters,
            batch_size=max(4096, 16 * clusters),
            n_init=self.num_init,
            random_state=self.seed,
        )
        found = kmeans.fit_predict(F.normalize(features, dim=1).numpy())
        return torch.from_numpy(found).long()

    def before_train_epoch(self, runner: Runner) -> None:
        """Remember the labels."""
        clusters = _clusters(runner)
        if clusters is not None and isinstance(runner.train_loop, EpochBasedTrainLoop):
            self._before = clusters.labels.to("cpu", copy=True)

    def after_train_epoch(self, runner: Runner) -> None:
        """Log what has become of the clusters."""
        clusters = _clusters(runner)
        if clusters is None or self._before is None:
            return
        changed = (clusters.labels.cpu() != self._before).double().mean().item()
        runner.logger.info(
            f"ODC: clusters of {_span(clusters)} images; {100 * changed:.1f} % of the images changed theirs"
        )
        runner.visualizer.add_scalars(
            {"odc_changed": changed, "odc_smallest": clusters.sizes.min().item()},
            step=runner.epoch + 1,
            file_path=f"{runner.timestamp}.json",
        )


def _clusters(runner: Runner) -> ODC | None:
    """The model's memory; None where it has none."""
    clusters = getattr(unwrap(runner.model), "clusters", None)
    return clusters if isinstance(clusters, ODC) else None


def _embedding(model: nn.Module, images: Tensor, tokens: str) -> Tensor:
    """What goes into the memory of images (N, C, H, W): (N, D)."""
    view, image = View(0, images), EmbeddingId(0)
    embedding: Tensor = model.encode_online([view])[image]  # type: ignore[operator]
    return embedding


def _check_dataset(dataset: Any, clusters: ODC) -> None:
    """Raises a ConfigError unless each image of the training set has its own place in the memory."""
    if not hasattr(dataset, "pipeline"):
        raise ConfigError(
            f"ODCHook: the training set is a {type(dataset).__name__}, in which sample_idx does not name one image: "
            "take the data set itself, without a wrapper that joins, repeats or chooses"
        )
    if len(dataset) != clusters.num_images:
        raise ConfigError(
            f"ODCHook: the training set has {len(dataset)} images and model.clusters.num_images is "
            f"{clusters.num_images}: set model.clusters.num_images={len(dataset)}"
        )
    with kept_random_state():
        sample = dataset[len(dataset) - 1].get("data_samples")
    if sample is None or sample.get("sample_idx") != len(dataset) - 1:
        raise ConfigError(
            "ODCHook: the data samples lack sample_idx, by which clusters are looked up: end the pipeline with "
            "PackInputs, its meta_keys as by default or with 'sample_idx' among them"
        )


def _span(clusters: ODC) -> str:
    """Sizes of the smallest and of the largest cluster, in words."""
    return f"{int(clusters.sizes.min())} to {int(clusters.sizes.max())}"
