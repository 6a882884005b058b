"""SwAV: views predict each other's codes over prototypes."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from mmpretrain.models import SwAV
from torch import Tensor, nn
from torch.nn import functional as F

from mixssl.mixing import DeferredMixture
from mixssl.models.losses import sinkhorn, swapped_prediction
from mixssl.models.memory import Staged
from mixssl.models.methods.base import MixtureMethod
from mixssl.registry import MODELS
from mixssl.structures import AnyTerm, EmbeddingId, MixedView, Step, Term, View

_EMBEDDING = "embedding"
"""Region under which an embedding travels beside its scores, on its way to the queue."""


@MODELS.register_module()
class MixSwAV(MixtureMethod, SwAV):
    """mmpretrain's SwAV with mixtures (Caron et al. 2020), multi-crop, prototypes and queue included.

    Without a mixer and on one process loss, gradients, prototypes, queue and state keys are the parent's, bit by bit,
    also under mmpretrain's SwAVHook, which makes, switches on, saves and loads the queue. On several processes the
    codes are those of one process with the whole batch, which the parent's are not. The queue moves once per optimizer
    step, and scores, codes and prediction are computed in fp32 under autocast.

    A mixture predicts the codes of the views it is compared with, their rows reordered, and of those only that have
    codes (``crops_for_assign``); its comparisons are averaged over them, as the parent averages. Given the codes, which
    get no gradient, the loss is a mean over rows, so that each row may have its own λ.

    A mixture that is itself a target, as in Un-Mix's pairing "mutual" and in its authors' code, gets codes as well,
    computed from its scores beside the first queue; unlike in that code it never enters a queue, and for the reversed
    mixture its predictions are reordered too, not its codes alone. Every mixture is encoded at its own size and weighed
    by its own λ, so mixtures of several sizes each keep theirs, where the authors' code takes the last size's for all.

    Raises:
        ValueError: If there are several sets of prototypes; in training, if views are missing or the queue is shorter
            than a batch.
    """

    capabilities = frozenset({"rows"})
    clusterable = False
    targets_are_online = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(self.head.loss_module.prototypes, nn.Linear):
            raise ValueError(
                "num_prototypes of SwAVLoss is a list and must be a number: mmpretrain's loss normalises one set only"
            )
        self._staged: Staged[Tensor] = Staged()

    def check_batch(self, inputs: list[Tensor]) -> None:
        """Raises a ValueError where views don't match the head's, or a batch overfills the queue."""
        super().check_batch(inputs)
        swav = self.head.loss_module
        if len(inputs) != sum(swav.num_crops):
            raise ValueError(
                f"num_crops of SwAVLoss is {list(swav.num_crops)} and the pipeline gives {len(inputs)} views: "
                "set num_crops to the num_views of MultiView"
            )
        if swav.queue is not None and swav.queue.shape[1] < len(inputs[0]):
            raise ValueError(
                f"the queue of SwAV holds {swav.queue.shape[1]} images per device and must hold a batch of "
                f"{len(inputs[0])}: raise queue_length of SwAVHook, or set it to 0 for no queue"
            )

    def loss(
        self,
        inputs: list[Tensor],
        data_samples: list | None = None,
        mixtures: Sequence[MixedView | DeferredMixture] = (),
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """See :meth:`MixtureMethod.loss`; in training the prototypes are normalised first, once, as the parent does."""
        self.check_batch(inputs)
        if self.training:
            with torch.no_grad():
                weight = self.head.loss_module.prototypes.weight
                weight.copy_(F.normalize(weight, dim=1))
        return super().loss(inputs, data_samples, mixtures, **kwargs)

    def clean_terms(self, clean: int) -> list[Term]:
        """Every view predicts the codes of every crop that has some, but its own."""
        crops = self.head.loss_module.crops_for_assign
        weight = 1 / (len(crops) * (clean - 1))
        return [
            Term(EmbeddingId(view), EmbeddingId(crop), weight=weight)
            for crop in crops
            for view in range(clean)
            if view != crop
        ]

    def mixture_terms(self, mixtures: Sequence[MixedView], clean: int) -> list[AnyTerm]:
        """The mix head's comparisons with views that have codes, averaged as the parent averages.

        A mixture that predicts several codes has their mean, and so has a mixture whose code several views predict.
        """
        crops = self.head.loss_module.crops_for_assign
        # No soft term, as there are no candidates; no cluster term, as there are prototypes in their place.
        found: list[Any] = super().mixture_terms(mixtures, clean)
        terms = [term for term in found if term.target.view >= clean or term.target.view in crops]
        ends = [term.online if term.online.view >= clean else term.target for term in terms]
        pairs = {(end, term.online, term.target) for end, term in zip(ends, terms, strict=True)}
        ways = Counter((end, end == online) for end, online, _ in pairs)
        return [
            term.with_weight(term.weight / ways[end, end == term.online])
            for end, term in zip(ends, terms, strict=True)
        ]

    def encode_online(self, views: list[View]) -> dict[EmbeddingId, Tensor]:
        """Scores of the prototypes, (M, K), float32, and normalised embeddings without gradient, (M, D).

        Neighbouring views of one size are one batch in the backbone, all views one batch in the neck.
        """
        maps = [
            self.backbone(torch.cat([view.images for view in same]))
            for _, same in groupby(views, key=lambda view: view.images.shape[-1])
        ]
        embedding = self.neck(maps)
        with torch.autocast(embedding.device.type, enabled=False):
            scores = self._score(embedding.float())
        sizes = [len(view.images) for view in views]
        named = zip(views, scores.split(sizes), embedding.detach().split(sizes), strict=True)
        return {
            key: value
            for view, score, embedded in named
            for key, value in (
                (EmbeddingId(view.number), score),
                (EmbeddingId(view.number, _EMBEDDING), embedded),
            )
        }

    def _score(self, embedding: Tensor) -> Tensor:
        """Cosines of embeddings and prototypes, which are normalised already in training."""
        prototypes = self.head.loss_module.prototypes
        if self.training:
            return prototypes(embedding)
        return F.linear(embedding, F.normalize(prototypes.weight, dim=1))

    @torch.no_grad()
    def encode_target(
        self, views: list[View], online: dict[EmbeddingId, Tensor]
    ) -> dict[EmbeddingId, Tensor]:
        """Codes, (M, K), float32, and the embeddings of the crops that have a queue."""
        crops = list(self.head.loss_module.crops_for_assign)
        targets = {}
        for view in views:
            slot = crops.index(view.number) if view.number in crops else 0
            targets[EmbeddingId(view.number)] = self._codes(online[EmbeddingId(view.number)], slot)
        queued = (EmbeddingId(crop, _EMBEDDING) for crop in crops)
        return targets | {key: online[key] for key in queued if key in online}

    def _codes(self, scores: Tensor, slot: int) -> Tensor:
        """Codes of a view, shared out together with the images in its queue once that is full."""
        swav = self.head.loss_module
        rows = scores.detach()
        if self._queue_in_use(slot):
            with torch.autocast(rows.device.type, enabled=False):
                rows = torch.cat([self._score(swav.queue[slot]), rows])
        return sinkhorn(rows, swav.sinkhorn_iterations, swav.epsilon)[-len(scores) :]

    def _queue_in_use(self, slot: int) -> bool:
        """Whether a queue is full; the device is asked only until it is."""
        swav = self.head.loss_module
        if swav.queue is None:
            return False
        full = swav.use_queue or not bool((swav.queue[slot, -1] == 0).all())
        if self.training:
            swav.use_queue = full
        return full

    def pair_losses(self, online: Tensor, targets: list[Tensor], terms: list[Term]) -> list[Tensor]:
        """Cross-entropy of the view's prediction with codes, per row; the prediction is computed once."""
        prediction = F.log_softmax(online / self.head.loss_module.temperature, dim=1)
        return [swapped_prediction(prediction, codes) for codes in targets]

    def two_way_logits(
        self, online: Tensor, targets: list[Tensor], temperature: float | None
    ) -> list[Tensor]:
        """Log-likelihoods of codes under the view's prediction, (M,) each: what pair_losses compares with them."""
        prediction = F.log_softmax(
            online / (temperature or self.head.loss_module.temperature), dim=1
        )
        return [-swapped_prediction(prediction, codes) for codes in targets]

    def sum_losses(self, terms: Sequence[AnyTerm], step: Step) -> dict[str, Tensor]:
        """Adds up the clean terms crop by crop and divides the sums, as the parent rounds; the others as usual."""
        clean: list[Any] = [term for term in terms if term.name == "loss_clean"]
        losses = super().sum_losses([term for term in terms if term.name != "loss_clean"], step)
        if clean:
            losses = {"loss_clean": self._clean_loss(clean, step.online, step.targets)} | losses
        return losses

    def _clean_loss(
        self,
        terms: list[Term],
        online: dict[EmbeddingId, Tensor],
        targets: dict[EmbeddingId, Tensor],
    ) -> Tensor:
        """Mean over the crops that have codes of the mean over the views that predict them."""
        swav = self.head.loss_module
        crops = []
        for target, same in groupby(terms, key=lambda term: term.target):
            predictions = [
                F.log_softmax(online[term.online] / swav.temperature, dim=1) for term in same
            ]
            losses = [
                swapped_prediction(prediction, targets[target]).mean() for prediction in predictions
            ]
            crops.append(sum(losses) / len(losses))
        unscaled = self.clean_terms(sum(swav.num_crops))[0].weight
        return torch.as_tensor(sum(crops) / len(crops) * (terms[0].weight / unscaled))

    @torch.no_grad()
    def stage(self, targets: dict[EmbeddingId, Tensor]) -> None:
        """Stages the embeddings of the crops that have a queue.

        Where a mix head leaves out the clean loss some are not computed, and the queue stays as it is.
        """
        swav = self.head.loss_module
        ids = [EmbeddingId(crop, _EMBEDDING) for crop in swav.crops_for_assign]
        if swav.queue is None or any(eid not in targets for eid in ids):
            return
        batch = torch.stack([targets[eid].float() for eid in ids])
        self._staged.put(batch, batch.shape[1], limit=swav.queue.shape[1])

    def enqueue_staged(self) -> None:
        """Puts the staged embeddings in front of the queues, the latest first."""
        queue = self.head.loss_module.queue
        while self._staged:
            rows = self._staged.popleft()
            if queue is not None:
                queue.copy_(torch.cat([rows, queue[:, : -rows.shape[1]]], dim=1))
