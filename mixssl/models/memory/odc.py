"""Clusters that are found while the features are learned."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mixssl.mixing import StepRandom
from mixssl.models.losses import two_way_cross_entropy
from mixssl.models.memory.clustering import (
    cluster_means,
    cluster_sizes,
    first_of_each,
    nearest,
    two_means,
)
from mixssl.models.memory.late_flag import LateFlag
from mixssl.models.memory.queue import Staged
from mixssl.registry import MODELS
from mixssl.structures import ClusterTerm
from mixssl.utils.distributed import gather_rows
from mixssl.utils.errors import require


@MODELS.register_module()
class ODC(BaseModule):
    r"""Online deep clustering (Zhan et al. 2020): a feature and a pseudo-label for every image of the training set.

    Each optimizer step the batch's features move halfway to the new ones and take the label of the nearest centroid;
    every few steps the centroids become the means of their clusters, and clusters that have grown too small are merged
    into their neighbours and given half of the largest each. A linear classifier learns the labels, an image of
    cluster c with the weight

    .. math:: w_c = n_c^{-p} \Big/ \frac{1}{N} \sum_k n_k \, n_k^{-p},

    n_c being the cluster's size: the mean of the weights over all N images is 1.

    All of it lies in buffers, so that checkpoints hold it, and is the same on every rank. A step waits for the device
    only where a cluster is to be split. The memory takes N x D numbers: 656 MB for ImageNet's 1,281,167 images and 128
    numbers in float32, half of that with ``half=True``.

    Different from the authors' code: there weights are normalised to the *sum* 1 over the clusters, which divides the
    loss by about K; the nearest centroid is the one of the largest inner product, though centroids are not of length
    one, here that of the least distance; a small cluster is dealt with one step later, so that its size need not be
    waited for; a split can't leave a part below ``min_size``. The classifier reads the method's embedding, made to
    length one, where theirs has a neck of its own.

    Fill it with :meth:`start` before training, as :class:`~mixssl.engine.hooks.ODCHook` does.

    Args:
        num_images: N, of the training set.
        feat_dim: D, of the method's embedding.
        num_clusters: K; AMix-C takes 200.
        momentum: Weight of the new feature in the memory, in (0, 1].
        min_size: Of a cluster that is left alone, >= 1; K · min_size <= N.
        centroid_interval: Optimizer steps between updates of the centroids, >= 1.
        small_interval: Optimizer steps between looks for small clusters, >= 1.
        weight_power: p, >= 0; 0 weighs all images alike.
        temperature: Of the classifier's softmax, > 0; AMix has none (eq. 1), which is 1.
        loss_weight: Factor on the cross-entropy of the clean views, > 0.
        detach: Whether that cross-entropy teaches the classifier alone; otherwise the encoder learns from it too. AMix
            does not say which it means.
        alone: Whether a method without a mixer learns clusters too, as a control; read by the method.
        half: Whether features are kept in float16.
        seed: Of the splits, in [0, 2^63); None takes the run's.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    features: Tensor
    labels: Tensor
    centroids: Tensor
    sizes: Tensor
    filled: Tensor

    def __init__(
        self,
        num_images: int,
        feat_dim: int = 128,
        num_clusters: int = 200,
        momentum: float = 0.5,
        min_size: int = 20,
        centroid_interval: int = 10,
        small_interval: int = 1,
        weight_power: float = 0.5,
        temperature: float = 1.0,
        loss_weight: float = 1.0,
        detach: bool = False,
        alone: bool = False,
        half: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        require("(0, 1]", self, "ODC uses 0.5", momentum=momentum)
        require(">= 2", self, "AMix-C uses 200", num_clusters=num_clusters)
        require(">= 1", self, "ODC uses 20", min_size=min_size)
        require(">= 1", self, centroid_interval=centroid_interval, small_interval=small_interval)
        require(">= 0", self, "ODC uses 0.5", weight_power=weight_power)
        require("> 0", self, temperature=temperature, loss_weight=loss_weight)
        if num_images < num_clusters * min_size:
            raise ValueError(
                f"num_images of ODC is {num_images}, too few for {num_clusters} clusters of {min_size}: "
                f"lower num_clusters to {max(num_images // min_size, 2)} or less, or min_size"
            )
        self.num_images, self.num_clusters, self.feat_dim = num_images, num_clusters, feat_dim
        self.momentum, self.min_size, self.weight_power = momentum, min_size, weight_power
        self.centroid_interval, self.small_interval = centroid_interval, small_interval
        self.temperature, self.loss_weight = temperature, loss_weight
        self.detach, self.alone = detach, alone
        self.classifier = nn.Linear(feat_dim, num_clusters)
        self.random = StepRandom(seed)
        dtype = torch.float16 if half else torch.float32
        self.register_buffer("features", torch.zeros(num_images, feat_dim, dtype=dtype))
        self.register_buffer("labels", torch.zeros(num_images, dtype=torch.int64))
        self.register_buffer("centroids", torch.zeros(num_clusters, feat_dim))
        self.register_buffer("sizes", torch.zeros(num_clusters, dtype=torch.int64))
        self.register_buffer("filled", torch.tensor(False))
        self._filled: bool | None = False  # on the host; None: to be read from the buffer
        self._small: LateFlag | None = None
        self._staged: Staged[tuple[Tensor, Tensor]] = Staged()

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._filled, self._small = None, None
        self._staged.clear()

    @property
    def is_filled(self) -> bool:
        """Whether every image has a feature and a label."""
        if self._filled is None:
            self._filled = bool(self.filled)
        return self._filled

    @torch.no_grad()
    def start(self, features: Tensor, labels: Tensor) -> None:
        """Fills the memory; call it on every rank with the same values.

        Args:
            features: Of the images in the order of the data set, (N, D); made to length one.
            labels: A first cluster for each, (N,), int64, in [0, K); small clusters are dealt with at once.

        Raises:
            ValueError: If a shape or a label does not fit.
        """
        if features.shape != self.features.shape or labels.shape != self.labels.shape:
            raise ValueError(
                f"ODC got features {tuple(features.shape)} and labels {tuple(labels.shape)} and holds "
                f"{tuple(self.features.shape)}: set num_images and feat_dim of model.clusters to fit"
            )
        if int(labels.min()) < 0 or int(labels.max()) >= self.num_clusters:
            raise ValueError(
                f"ODC got labels from {int(labels.min())} to {int(labels.max())} and they must lie in "
                f"[0, {self.num_clusters}): set num_clusters of model.clusters to fit"
            )
        for rows, given in zip(self.features.split(65536), features.split(65536), strict=True):
            rows.copy_(F.normalize(given.float(), dim=1))
        self.labels.copy_(labels)
        self.sizes.copy_(cluster_sizes(self.labels, self.num_clusters))
        self.update_centroids()
        self.filled.fill_(True)
        self._filled, self._small = True, None
        self._mend(self.random())

    def index_of(self, data_samples: Sequence[Any] | None) -> Tensor:
        """Places of a batch's images in the data set, (n,), int64, on the memory's device.

        Args:
            data_samples: With ``sample_idx``, which mmengine's data sets count and ``PackInputs`` packs by default.

        Raises:
            ValueError: If a sample does not say its place, or one beyond the memory; if the memory is empty.
        """
        if not self.is_filled:
            raise ValueError(
                "the memory of ODC is empty: add default_hooks=dict(odc=dict(type='mixssl.ODCHook')), "
                "or call model.clusters.start(features, labels) before training"
            )
        places = [sample.get("sample_idx") for sample in data_samples or ()]
        if not places or None in places:
            raise ValueError(
                f"{'data_samples are missing' if not places else 'data_samples lack sample_idx'}, by which clusters "
                "are looked up: have PackInputs pack it (meta_keys=('sample_idx', ...), as it does by default)"
            )
        if min(places) < 0 or max(places) >= self.num_images:
            raise ValueError(
                f"sample_idx is {max(places)} and the memory of ODC holds {self.num_images} images: "
                "set num_images of model.clusters to the length of the training set"
            )
        return torch.tensor(places).to(self.labels.device, non_blocking=True)

    def logits(self, embedding: Tensor) -> Tensor:
        """The classifier's scores over the temperature: embeddings (n, D), of any length, to (n, K), float32.

        Raises:
            ValueError: If an embedding has another number of numbers than D.
        """
        if embedding.shape[1] != self.feat_dim:
            raise ValueError(
                f"ODC got embeddings of {embedding.shape[1]} numbers and feat_dim is {self.feat_dim}: "
                f"set feat_dim={embedding.shape[1]} in model.clusters"
            )
        with torch.autocast(embedding.device.type, enabled=False):
            unit = F.normalize(embedding.float(), dim=1)
            return self.classifier(unit) / self.temperature

    def weights(self) -> Tensor:
        """Weight of an image of each cluster in the loss, (K,); its mean over all images is 1."""
        raw = self.sizes.clamp_min(1).float().pow(-self.weight_power)
        return raw * (self.sizes.sum() / (raw * self.sizes).sum())

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of each row under the weight of its cluster: logits (n, K) and labels (n,) to (n,)."""
        return F.cross_entropy(logits, labels, self.weights(), reduction="none")

    def term_loss(self, embedding: Tensor, labels: Tensor, term: ClusterTerm) -> Tensor:
        """Cross-entropy with the clusters of the images that each row shows, under the weights of those clusters.

        Between two clusters alone nothing is weighed; from a row whose images share a cluster there is nothing to
        learn.

        Args:
            embedding: (M, D).
            labels: Clusters of the batch's images, (N,), int64.
            term: Says which images the rows show.

        Returns:
            (M,), float32.
        """
        if term.index is None:
            seen = embedding.detach() if self.detach else embedding
            return self.cross_entropy(self.logits(seen), labels)
        logits = self.logits(embedding)
        assert term.partner is not None and term.lam is not None
        own, other = labels[term.index], labels[term.partner]
        if term.two_way:
            scores = logits.gather(1, torch.stack([own, other], dim=1))
            return two_way_cross_entropy(scores[:, 0], scores[:, 1], term.lam)
        own_loss, other_loss = self.cross_entropy(logits, own), self.cross_entropy(logits, other)
        return term.lam * own_loss + (1 - term.lam) * other_loss

    @torch.no_grad()
    def stage(self, features: Tensor, index: Tensor) -> None:
        """Stages what a batch brings, of all devices, for the next :meth:`commit`.

        Args:
            features: This device's, (n, D), of any length; n the same on all devices.
            index: Places of the images, (n,), int64. Of a repeated one the first counts, by rank, then by row.
        """
        unit = F.normalize(features.detach().float(), dim=1)
        batch = gather_rows(unit), gather_rows(index)
        self._staged.put(batch, len(batch[1]), limit=self.num_images)

    @torch.no_grad()
    def commit(self) -> None:
        """Writes what was staged as one batch, and does what is due; once per optimizer step."""
        if not self._staged:
            return
        features, index = (torch.cat(parts) for parts in zip(*self._staged, strict=True))
        self._staged.clear()
        generator, step = self.random(), self.random.steps
        if step % self.small_interval == 0 and self._has_small():
            self._mend(generator)
        with torch.autocast(features.device.type, enabled=False):
            self._write(features, index)
            if step % self.centroid_interval == 0:
                self.update_centroids()
        self._small = LateFlag((self.sizes < self.min_size).any())

    def _write(self, features: Tensor, index: Tensor) -> None:
        """Moves the features of a batch and labels them anew."""
        first, is_first = first_of_each(index)
        features, counted = features[first], is_first.long()
        moved = torch.lerp(self.features[index].float(), features, self.momentum)
        moved = F.normalize(moved, dim=1)
        old, new = self.labels[index], nearest(moved, self.centroids)
        self.features[index] = moved.to(self.features.dtype)
        self.labels[index] = new
        self.sizes.index_add_(0, old, -counted).index_add_(0, new, counted)

    def update_centroids(self) -> None:
        """Makes every centroid the mean of its cluster; one without members stays where it is."""
        self.centroids.copy_(cluster_means(self.features, self.labels, self.centroids))

    def _has_small(self) -> bool:
        """Whether a cluster was too small after the last step."""
        small = self._small or LateFlag((self.sizes < self.min_size).any())
        return small.read()

    def _mend(self, generator: torch.Generator) -> None:
        """Merges small clusters into their neighbours, and gives each half of what is then the largest."""
        small = self.sizes < self.min_size
        rows = small[self.labels].nonzero().squeeze(1)
        self.labels[rows] = nearest(self.features[rows].float(), self.centroids, ~small)
        self.sizes.copy_(cluster_sizes(self.labels, self.num_clusters))
        for cluster in small.nonzero().squeeze(1).tolist():
            largest = int(self.sizes.argmax())
            rows = (self.labels == largest).nonzero().squeeze(1)
            features = self.features[rows].float()
            second = two_means(features, min(self.min_size, len(rows) // 2), generator)
            self.labels[rows[second]] = cluster
            for name, part in ((cluster, second), (largest, ~second)):
                self.centroids[name] = features[part].mean(dim=0)
                self.sizes[name] = part.sum()
