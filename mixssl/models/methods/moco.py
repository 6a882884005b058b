"""MoCo v1 and v2, asymmetric and symmetric."""

from __future__ import annotations

from collections import deque
from typing import Any

import torch
from mmengine.dist import all_gather
from mmpretrain.models import MoCo
from mmpretrain.models.utils import batch_shuffle_ddp, batch_unshuffle_ddp
from torch import Tensor, nn
from torch.nn import functional as F

from mixssl.models.losses import info_nce
from mixssl.models.memory import check_queue, enqueue
from mixssl.models.methods.base import MixtureMethod, View
from mixssl.registry import MODELS
from mixssl.structures import Key, Term

__all__ = ["MixMoCo"]


@MODELS.register_module()
class MixMoCo(MixtureMethod, MoCo):
    """mmpretrain's MoCo with mixtures (He et al. 2020; v2: Chen et al. 2020).

    Without a mixer and asymmetric, loss, gradients, buffers and state keys are the parent's, bit by bit. Keys enter the
    queue and the momentum encoder moves once per optimizer step, under gradient accumulation too. Only clean keys are
    enqueued (Un-Mix §4.2). The negatives' logits of a mixture are computed once for all its terms, in fp32.

    Args:
        symmetric: Also compare view 1 with the key of view 0 and enqueue both keys, as in the CIFAR demo of MoCo's
            authors; the two losses are added.
        **kwargs: Of mmpretrain's MoCo (backbone, neck, head, queue_len, feat_dim, momentum, data_preprocessor, ...) and
            ``mix_head``. ``momentum`` is the weight of the new value, 0.001 for the papers' 0.999.

    Raises:
        ValueError: In training, if the total batch does not divide ``queue_len``.
    """

    offers = frozenset({"rows", "candidates"})

    def __init__(self, *args: Any, symmetric: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.symmetric = symmetric
        self._kept: deque[Tensor] = deque()

    def check_batch(self, inputs: list[Tensor]) -> None:
        """Raises a ValueError where views are missing or the batch does not divide the queue."""
        super().check_batch(inputs)
        if self.training:
            check_queue(self.queue_len, len(inputs[0]))

    def clean_terms(self, clean: int) -> list[Term]:
        """View 0 against the key of view 1, and the other way round if symmetric."""
        forth = Term(Key(0), Key(1))
        return [forth, Term(Key(1), Key(0))] if self.symmetric else [forth]

    def encode_online(self, views: list[View]) -> dict[Key, Tensor]:
        """Queries, normalised, (M, D); each view is its own batch for batch normalisation."""
        return {
            Key(view.number): F.normalize(self.neck(self.backbone(view.images))[0], dim=1) for view in views
        }

    def update_momentum(self) -> None:
        """Moves the key encoder."""
        self.encoder_k.update_parameters(nn.Sequential(self.backbone, self.neck))

    @torch.no_grad()
    def encode_target(self, views: list[View], online: dict[Key, Tensor]) -> dict[Key, Tensor]:
        """Keys, normalised, (M, D), encoded in a shuffled order across devices."""
        keys = {}
        for view in views:
            images, restore = batch_shuffle_ddp(view.images)
            key = F.normalize(self.encoder_k(images)[0], dim=1)
            keys[Key(view.number)] = batch_unshuffle_ddp(key, restore)
        return keys

    def pair_losses(self, online: Tensor, targets: list[Tensor], terms: list[Term]) -> list[Tensor]:
        """InfoNCE against the queue: the parent's head for clean terms, one shared sum of negatives for mixtures."""
        with torch.autocast(online.device.type, enabled=False):
            query = online.float()
            negatives = torch.einsum("nc,ck->nk", [query, self.queue])
            positives = [torch.einsum("nc,nc->n", [query, target.float()]) for target in targets]
            if all(term.rows is None and not isinstance(term.weight, Tensor) for term in terms):
                return [self.head.loss(positive.unsqueeze(-1), negatives) for positive in positives]
            temperature = self.head.temperature
            lse = (negatives / temperature).logsumexp(dim=1)
            return [info_nce(positive / temperature, lse) for positive in positives]

    def candidate_logits(self, online: Tensor, target: Tensor, temperature: float | None) -> list[Tensor]:
        """Logits of this device's keys and of the queue; no key of another device is among them (MixCo's code)."""
        with torch.autocast(online.device.type, enabled=False):
            query = online.float() / (temperature or self.head.temperature)
            return [query @ target.float().t(), query @ self.queue]

    @torch.no_grad()
    def keep(self, targets: dict[Key, Tensor]) -> None:
        """Sets aside the clean keys of all devices; no more than the queue holds, should no optimizer ever step."""
        for target in sorted(term.target for term in self.clean_terms(2)):
            keys = torch.cat(all_gather(targets[target]), dim=0)
            self._kept.append(keys)
            if len(self._kept) * len(keys) > self.queue_len:
                self._kept.popleft()

    def commit(self) -> None:
        """Enqueues the keys set aside, oldest first."""
        while self._kept:
            enqueue(self.queue, self.queue_ptr, self._kept.popleft())
