"""Learning the clusters of the training set beside whatever else a method learns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mixssl.mixing import DeferredMixture, Saliency
from mixssl.models.backbone_hooks import frozen
from mixssl.models.parts.base import Part, teacher_in_place
from mixssl.registry import MODELS
from mixssl.structures import AnyTerm, ClusterTerm, EmbeddingId, Step, View

if TYPE_CHECKING:
    from mixssl.models.methods import MixtureMethod

CLEAN = EmbeddingId(0)
"""The embedding that is remembered and whose clusters are learned."""


class Clusters(Part):
    """The clusters that AMix-C and the other mixtures "(C)" need, found by online deep clustering (ODC).

    The embedding of clean view 0 goes into the memory, which so follows the online encoder, and a linear classifier on
    it learns the pseudo-labels, ``loss_cluster``; classifier and encoder both learn from that. The paper says no more
    than that the labels are made online by ODC. That clean images are classified too is our reading: without it
    nothing trains the classifier by which mixtures are judged. So is that the encoder learns from it (``detach=True``
    of ODC has the classifier learn alone). A step looks clusters up as they were after the last one.

    Clusters belong to the mixtures that ask for them: without a mixer a method has none, and is its parent. The control
    that tells what ODC brings by itself is ``alone=True`` of ODC.

    Args:
        method: Gets the memory as its module ``clusters``.
        clusters: Config of :class:`~mixssl.models.memory.ODC`.

    Raises:
        ValueError: If the method has clusters of its own.
    """

    def __init__(self, method: MixtureMethod, clusters: dict) -> None:
        if not method.clusterable:
            raise ValueError(
                f"clusters of {type(method).__name__} is set, and it has clusters of its own, its prototypes: "
                "choose another method, or leave clusters out"
            )
        method.clusters = MODELS.build(clusters)
        method.capabilities = method.capabilities | {"clusters"}
        self.memory = method.clusters

    def look_up(
        self, method: MixtureMethod, data_samples: Sequence[Any] | None
    ) -> tuple[Tensor, Tensor, Saliency]:
        """Places of a batch's images in the memory, their clusters, and what in images matters to these.

        Raises:
            ValueError: If a sample does not say its place, or the memory is empty.
        """
        places = self.memory.index_of(data_samples)
        labels = self.memory.labels[places]
        return places, labels, partial(self._saliency, method, labels)

    def finish_mixtures(self, method: MixtureMethod, step: Step) -> None:
        """Renders mixtures that waited for the clusters of the batch."""
        step.places, step.labels, saliency = self.look_up(method, step.data_samples)
        step.mixtures = [
            mixture.render(step.labels, saliency)
            if isinstance(mixture, DeferredMixture)
            else mixture
            for mixture in step.mixtures
        ]

    def adjust_terms(
        self, method: MixtureMethod, step: Step, terms: list[AnyTerm]
    ) -> list[AnyTerm]:
        """Adds the classification of the clean view."""
        return [*terms, ClusterTerm(CLEAN, weight=self.memory.loss_weight, name="loss_cluster")]

    def losses(self, method: MixtureMethod, step: Step) -> dict[str, Tensor]:
        """Stages what goes into the memory; the classification is a term like any other."""
        if method.training:
            assert step.places is not None
            self.memory.stage(step.online[CLEAN], step.places)
        return {}

    def after_optimizer_step(self) -> None:
        """Writes into the memory what was staged."""
        self.memory.commit()

    def _saliency(self, method: MixtureMethod, labels: Tensor, images: Tensor) -> Tensor:
        """How much each pixel matters to the clusters of the batch's images: (N, C, H, W) to (N, H, W), float32.

        The root mean square over channels of the gradient of the classifier's cross-entropy, through the teacher, or
        the online encoder where there is none. Nothing learns or remembers anything of it.
        """
        teacher: Any = nullcontext() if method.teacher is None else teacher_in_place(method)
        with torch.enable_grad(), frozen(method), teacher:
            pixels = images.detach().requires_grad_()
            embedding = method.encode_online([View(CLEAN.view, pixels)])[CLEAN]
            logits = self.memory.logits(embedding)
            loss = F.cross_entropy(logits, labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, pixels)
        return gradient.float().square().mean(dim=1).sqrt()
