"""DenseCL: MoCo's loss on whole images, and the same on matched places of the feature map."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_gather
from mmengine.model import BaseAveragedModel
from mmpretrain.models import DenseCL
from torch import Tensor
from torch.nn import functional as F

from mixssl.models.losses import contrastive_loss, info_nce, queue_candidates, with_negative
from mixssl.models.memory import Staged, batch_shuffle, batch_unshuffle, check_queue, enqueue
from mixssl.models.methods.base import MixtureMethod
from mixssl.registry import MODELS
from mixssl.structures import IMAGE, AnyTerm, EmbeddingId, MixedView, Pair, Term, View

_DENSE = "dense"
"""Region of an embedding per place of the map, (M, D, S), S places."""
_MAP = "map"
"""Region under which the online feature map travels to the target, which it is matched with, (M, C, S)."""
_POOLED = "pooled"
"""Region under which the mean dense key travels to the second queue, (M, D)."""


@MODELS.register_module()
class MixDenseCL(MixtureMethod, DenseCL):
    """mmpretrain's DenseCL (Wang et al. 2021) with mixtures in its global branch; its dense one sees clean views only.

    A place of a mixture has no single place of another view to be matched with, so that only the embedding of the whole
    image is compared. The loss is

        ``(1 - loss_lambda) * (loss of the images + mix head's terms) + loss_lambda * dense loss``

    under the parent's names ``loss_single`` and ``loss_dense``, and the head's ``loss_mix``: a mixture weighs what the
    global branch weighs, also while mmpretrain's DenseCLHook holds ``loss_lambda`` at 0. Where a head takes the place
    of the clean loss, as i-Mix's do, it does so in the global branch: the dense loss stays, since nothing else trains
    the dense projector, and with it the forward pass of the clean view.

    Without a mixer losses, gradients, buffers and state keys are the parent's, bit by bit. Both queues and the momentum
    encoder move once per optimizer step, under gradient accumulation too; only clean keys are enqueued. Logits are
    computed in fp32, and the negatives' logits of a mixture once for all its terms.

    Arguments are those of mmpretrain's DenseCL and ``mix_head``; ``momentum`` is the weight of the new value, 0.001 for
    the paper's 0.999. ``joint_bn`` must be False.

    Raises:
        ValueError: In training, if the total batch does not divide ``queue_len``; if ``joint_bn`` is set.
    """

    capabilities = frozenset({"rows", "candidates", "cells"})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.joint_bn:
            raise ValueError(
                "joint_bn of MixDenseCL is True and must be False: its dense branch needs view 0 by itself"
            )
        self._staged: Staged[tuple[Tensor, Tensor]] = Staged()

    def check_batch(self, inputs: list[Tensor]) -> None:
        """Raises a ValueError where views are missing or the batch does not divide the queues."""
        super().check_batch(inputs)
        if self.training:
            check_queue(self.queue_len, len(inputs[0]))

    @property
    def teacher(self) -> BaseAveragedModel:
        """The momentum encoder."""
        return self.encoder_k

    def clean_terms(self, clean: int) -> list[Term]:
        """View 0 against the key of view 1, as a whole and place by place."""
        return [
            Term(EmbeddingId(0), EmbeddingId(1), weight=1 - self.loss_lambda, name="loss_single"),
            Term(
                EmbeddingId(0, _DENSE),
                EmbeddingId(1, _DENSE),
                weight=self.loss_lambda,
                name="loss_dense",
            ),
        ]

    def mixture_terms(self, mixtures: Sequence[MixedView], clean: int) -> list[AnyTerm]:
        """The mix head's comparisons of whole images, weighed as the global branch is."""
        return [
            term.with_weight(term.weight * (1 - self.loss_lambda))
            for term in super().mixture_terms(mixtures, clean)
        ]

    def pair_terms(self, pair: Pair) -> list[Term]:
        """One comparison of whole images; :meth:`mixture_terms` weighs it."""
        return [Term(pair.first, pair.second, pair.rows, pair.weight, pair.name)]

    def encode_online(self, views: list[View]) -> dict[EmbeddingId, Tensor]:
        """Queries, normalised, (M, D), and what parts add; where places are compared those, and the map."""
        queries = {}
        for view in views:
            maps = self.backbone(view.images)
            for part in self.parts:
                for eid, region in part.embed(self, view, maps, True).items():
                    queries[eid] = F.normalize(region, dim=1)
            if IMAGE not in view.regions and _DENSE not in view.regions:
                continue
            query, grid, _ = self.neck(maps)
            queries[EmbeddingId(view.number)] = F.normalize(query, dim=1)
            if _DENSE in view.regions:
                queries[EmbeddingId(view.number, _DENSE)] = F.normalize(grid, dim=1)
                queries[EmbeddingId(view.number, _MAP)] = F.normalize(
                    maps[0].detach().flatten(2), dim=1
                )
        return queries

    @torch.no_grad()
    def encode_target(
        self, views: list[View], online: dict[EmbeddingId, Tensor]
    ) -> dict[EmbeddingId, Tensor]:
        """Keys, normalised, encoded in a shuffled order across devices; dense keys in the order of view 0's places."""
        keys: dict[EmbeddingId, Tensor] = {}
        for view in views:
            images, order = batch_shuffle(view.images)
            maps = self.encoder_k.module[0](images)
            found = dict(zip((IMAGE, _DENSE, _POOLED), self.encoder_k.module[1](maps), strict=True))
            if _DENSE in view.regions:
                found[_MAP] = maps[0].flatten(2)
            else:
                del found[_DENSE]
            found = {
                region: batch_unshuffle(F.normalize(value, dim=1), order)
                for region, value in found.items()
            }
            if _DENSE in view.regions:
                found[_DENSE] = _match(online[EmbeddingId(0, _MAP)], found.pop(_MAP), found[_DENSE])
            keys |= {EmbeddingId(view.number, region): value for region, value in found.items()}
        return keys

    def pair_losses(self, online: Tensor, targets: list[Tensor], terms: list[Term]) -> list[Tensor]:
        """InfoNCE against the queue of whole images, or place by place against that of pooled dense keys."""
        with torch.autocast(online.device.type, enabled=False):
            if terms[0].online.region == _DENSE:
                return [self._dense_loss(online.float(), target.float()) for target in targets]
            query = online.float()
            negatives = torch.einsum("nc,ck->nk", [query, self.queue])
            positives = [torch.einsum("nc,nc->n", [query, target.float()]) for target in targets]
            if not any(term.per_row for term in terms):
                return [
                    contrastive_loss(self.head, positive.unsqueeze(-1), negatives)
                    for positive in positives
                ]
            temperature = self.head.temperature
            lse = (negatives / temperature).logsumexp(dim=1)
            losses = []
            for positive, term in zip(positives, terms, strict=True):
                others = lse
                if isinstance(term.negative, Tensor):
                    others = with_negative(lse, query, term.negative, temperature)
                losses.append(info_nce(positive / temperature, others))
            return losses

    def _dense_loss(self, online: Tensor, target: Tensor) -> Tensor:
        """Mean InfoNCE over all places of all images."""
        positive = (online * target).sum(dim=1).view(-1, 1)
        places = online.permute(0, 2, 1).reshape(-1, online.shape[1])
        return contrastive_loss(
            self.head, positive, torch.einsum("nc,ck->nk", [places, self.queue2])
        )

    def candidate_logits(
        self, online: Tensor, target: Tensor, temperature: float | None
    ) -> list[Tensor]:
        """Logits of this device's keys of whole images and of their queue."""
        return queue_candidates(online, target, self.queue, temperature or self.head.temperature)

    @torch.no_grad()
    def stage(self, targets: dict[EmbeddingId, Tensor]) -> None:
        """Stages the clean keys of all devices."""
        ids = EmbeddingId(1), EmbeddingId(1, _POOLED)
        if ids[1] not in targets:
            return
        whole, pooled = (torch.cat(all_gather(targets[eid])) for eid in ids)
        self._staged.put((whole, pooled), len(whole), limit=self.queue_len)

    def enqueue_staged(self) -> None:
        """Enqueues the staged keys, oldest first."""
        while self._staged:
            whole, pooled = self._staged.popleft()
            enqueue(self.queue, self.queue_ptr, whole)
            enqueue(self.queue2, self.queue2_ptr, pooled)


def _match(online_map: Tensor, key_map: Tensor, keys: Tensor) -> Tensor:
    """For each place of the online map, the key of the place whose features resemble its own most.

    Args:
        online_map: Normalised features, (N, C, S).
        key_map: Likewise of the key view, (N, C, S).
        keys: Dense keys, (N, D, S).

    Returns:
        (N, D, S), in the order of the online places.
    """
    with torch.autocast(keys.device.type, enabled=False):
        alike = online_map.float().permute(0, 2, 1) @ key_map.float()
    place = alike.max(dim=2)[1]
    return keys.gather(2, place.unsqueeze(1).expand(-1, keys.shape[1], -1))
