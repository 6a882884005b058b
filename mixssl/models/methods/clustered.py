"""Learning the clusters of the training set beside whatever else a method learns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mixssl.mixing import Deferred, Salience
from mixssl.models.guided import frozen
from mixssl.models.losses import two_way_cross_entropy
from mixssl.models.memory import ODC
from mixssl.models.methods.terms import View
from mixssl.registry import MODELS
from mixssl.structures import ClusterTerm, Key, MixedView

if TYPE_CHECKING:
    from mmpretrain.models import BaseSelfSupervisor as _Algorithm
else:
    _Algorithm = object

__all__ = ["ClusteredLearning"]

CLEAN = Key(0)
"""The embedding that is remembered and whose clusters are learned."""


class ClusteredLearning(_Algorithm):
    """What :class:`MixtureMethod` does where the model has ``clusters``, as AMix-C and the other mixtures "(C)" need.

    The embedding of clean view 0 goes into the memory, which so follows the online encoder, and a linear classifier on
    it learns the pseudo-labels, ``loss_cluster``; classifier and encoder both learn from that. The paper says no more
    than that the labels are made online by ODC; that clean images are classified too is our reading, for without it
    nothing would train the classifier by which mixtures are judged, and so is that the encoder learns from it
    (``detach=True`` of ODC has the classifier learn alone). A step looks clusters up as they were after the last one.

    Clusters belong to the mixtures that ask for them: without a mixer there are none, and the method is its parent. The
    control that tells what ODC brings by itself is ``alone=True`` of ODC.

    Attributes:
        clusterable: Whether what ``encode_online`` gives for a view is an embedding, (N, D).

    Args:
        clusters: Config of :class:`~mixssl.models.memory.ODC`, read only where there is a mixer or ``alone`` is set;
            None for no clusters.
    """

    clusterable: ClassVar[bool] = True
    clusters: ODC | None
    offers: frozenset[str]

    def build_clusters(self, clusters: dict | None) -> None:
        """Builds the memory; called before head and mixer are checked against what the method offers."""
        self.clusters = None
        self._places: Tensor | None = None
        self._labels: Tensor | None = None
        if clusters is None:
            return
        if not self.clusterable:
            raise ValueError(
                f"clusters of {type(self).__name__} is set, and it has clusters of its own, its prototypes: "
                "choose another method, or leave clusters out"
            )
        if self.mixer is None and not clusters.get("alone", False):
            return
        self.clusters = MODELS.build(clusters)
        self.offers = self.offers | {"clusters"}

    def settle(
        self, mixtures: Sequence[MixedView | Deferred], data_samples: Sequence[Any] | None
    ) -> list[MixedView]:
        """Has mixtures made that waited for the clusters of the batch; the others stay as they are.

        Args:
            mixtures: As the mixer gave them.
            data_samples: Of the batch, with ``sample_idx``; not read where the model has no clusters.

        Raises:
            ValueError: If a sample does not say its place, or the memory is empty.
        """
        if self.clusters is None:  # then no mixer asks for them
            return [mixture for mixture in mixtures if not isinstance(mixture, Deferred)]
        labels, salience = self.look_up(data_samples)
        return [
            mixture.render(labels, salience) if isinstance(mixture, Deferred) else mixture
            for mixture in mixtures
        ]

    def look_up(self, data_samples: Sequence[Any] | None) -> tuple[Tensor, Salience]:
        """Finds the clusters of a batch, which the losses of the step are about, and what in images matters to them.

        Returns:
            What :class:`~mixssl.mixing.Deferred` mixtures ask for: clusters, (N,), int64, and :meth:`image_salience`.

        Raises:
            ValueError: If a sample does not say its place, or the memory is empty.
        """
        assert self.clusters is not None
        self._places = self.clusters.index_of(data_samples)
        self._labels = self.clusters.labels[self._places]
        return self._labels, self.image_salience

    def clean_embedding(self, images: Tensor) -> Tensor:
        """What is remembered and classified of a clean view: (N, C, H, W) to (N, D)."""
        return self.encode_online([View(CLEAN.view, images)])[CLEAN]

    def image_salience(self, images: Tensor) -> Tensor:
        """How much each pixel matters to the clusters of the batch's images: (N, C, H, W) to (N, H, W), float32.

        The root mean square over channels of the gradient of the classifier's cross-entropy, through the momentum
        encoder, or the online one where there is none. Nothing learns or remembers anything of it.
        """
        assert self.clusters is not None and self._labels is not None
        guided = nullcontext() if self.momentum_guide is None else self._swapped()
        with torch.enable_grad(), frozen(self), guided:
            pixels = images.detach().requires_grad_()
            logits = self.clusters.logits(self.clean_embedding(pixels))
            loss = F.cross_entropy(logits, self._labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, pixels)
        return gradient.float().square().mean(dim=1).sqrt()

    def cluster_terms(self) -> list[ClusterTerm]:
        """The classification of the clean view."""
        if self.clusters is None:
            return []
        return [ClusterTerm(CLEAN, weight=self.clusters.loss_weight, name="loss_cluster")]

    def cluster_loss(self, online: Tensor, term: ClusterTerm) -> Tensor:
        """Cross-entropy with the clusters of the images that each row shows, under the weights of those clusters.

        Between two clusters alone nothing is weighed; of a row whose images share a cluster nothing is to be learned.

        Args:
            online: (M, D).
            term: Whose images they are.

        Returns:
            (M,), float32.
        """
        assert self.clusters is not None and self._labels is not None
        if term.index is None:
            seen = online.detach() if self.clusters.detach else online
            return self.clusters.cross_entropy(self.clusters.logits(seen), self._labels)
        logits = self.clusters.logits(online)
        assert term.partner is not None and term.lam is not None
        own, other = self._labels[term.index], self._labels[term.partner]
        if term.two_way:
            scores = logits.gather(1, torch.stack([own, other], dim=1))
            return two_way_cross_entropy(scores[:, 0], scores[:, 1], term.lam)
        loss = partial(self.clusters.cross_entropy, logits)
        return term.lam * loss(own) + (1 - term.lam) * loss(other)

    def keep_clusters(self, online: dict[Key, Tensor]) -> None:
        """Sets aside what goes into the memory at the next optimizer step."""
        if self.clusters is not None:
            assert self._places is not None
            self.clusters.keep(online[CLEAN], self._places)

    def commit_clusters(self) -> None:
        """Writes into the memory what was set aside."""
        if self.clusters is not None:
            self.clusters.commit()
