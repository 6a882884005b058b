"""Distillation: a student learns how near a frozen teacher finds images to each other, and places of an image."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_gather
from mmpretrain.models import BaseSelfSupervisor
from torch import Tensor
from torch.nn import functional as F

from mixssl.models.losses import divergence, token_divergence
from mixssl.models.memory import Staged, check_queue, enqueue
from mixssl.models.methods.base import MixtureMethod
from mixssl.models.necks.distill_neck import feature_map
from mixssl.models.parts import Part
from mixssl.models.teacher import FrozenTeacher
from mixssl.registry import MODELS
from mixssl.structures import (
    IMAGE,
    AnyTerm,
    Blend,
    EmbeddingId,
    MixedView,
    SoftTerm,
    Step,
    Term,
    View,
)
from mixssl.utils.errors import ConfigError

_PLACES = "places"
"""Region of a feature per place, (M, D, h, w), not normalised."""
_ALL = "all devices"
"""Region under which the features of whole images travel as the batch of all devices together, (W * N, D)."""
_EMPTY = -1e4
"""Logit of a column that holds nothing yet: its share is exactly zero, and so is what it adds to a divergence."""


class _Taught(BaseSelfSupervisor):
    """A student and its teacher, which has to be there before the parts of a mixture's recipe are."""

    def __init__(self, *args: Any, teacher: dict, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.frozen_teacher = FrozenTeacher(**teacher, pixels=self.data_preprocessor)


@MODELS.register_module()
class MixDistill(MixtureMethod, _Taught):
    """Learns a frozen teacher's features, of mixtures as the teacher sees them.

    An image's feature is compared with a queue of the teacher's features of other images, the student's as the
    teacher's; the loss is the KL divergence of the two distributions over the queue. The dense loss does the same among
    the places of an image. Both without labels. One view is enough: student and teacher see the same pixels
    (mixssl.DistillHead), and further views are further images.

    Labels are mixed in place of inputs by UnMixHead(pairing="own"), which weighs the divergences from both images, or
    by BlendHead(pairing="own"), whose one target is the mean of both features, normalised.

    The newest teacher features, those of the step on all devices, are among what is compared with, in place of the
    oldest of the queue. As with any bank they are written after the optimizer's step, and columns that hold nothing yet
    count for nothing.

    Args:
        backbone: Config of the student's.
        neck: Config of mixssl.DistillNeck, or of another neck with ``out_channels``, the teacher's width.
        teacher: Arguments of :class:`~mixssl.models.teacher.FrozenTeacher`: backbone, checkpoint, ...
        queue_len: Of the queue, a multiple of the total batch and no more than the images of the data;
            :func:`~mixssl.models.memory.queue_length` says how long for how many.
        temperature: Of both losses, > 0.
        global_weight: Factor on what compares whole images, > 0.
        dense_weight: Factor on the dense loss, >= 0; it has a linear layer of its own, and compares whatever view is
            compared with itself.
        **kwargs: ``mix_head``, ``joint_bn``, ``mix_block``, ``clusters``, ``data_preprocessor``, ``init_cfg``.

    Raises:
        ConfigError: If an argument lies outside its range, or the teacher can't be had.
        ValueError: In training, if the total batch does not divide ``queue_len``, the teacher has another width, or a
            mixture is compared with nothing.
    """

    capabilities = frozenset({"rows", "candidates", "teacher", "blends"})
    targets_show_maps = True
    fewest_views = 1

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        *args: Any,
        queue_len: int,
        temperature: float = 0.07,
        global_weight: float = 1.0,
        dense_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, neck, *args, **kwargs)
        if not (temperature > 0 and global_weight > 0 and dense_weight >= 0 and queue_len > 0):
            raise ConfigError(
                f"MixDistill has temperature={temperature}, global_weight={global_weight}, "
                f"dense_weight={dense_weight} and queue_len={queue_len}: dense_weight must be >= 0, the others > 0"
            )
        self.queue_len = queue_len
        self.temperature = temperature
        self.global_weight = global_weight
        self.register_buffer("queue", torch.zeros(neck["out_channels"], queue_len))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))
        self.register_buffer("queue_filled", torch.zeros(1, dtype=torch.long))
        self._staged: Staged[Tensor] = Staged()
        self.dense_neck = None
        if dense_weight:
            self.parts.append(_Places(self, neck, dense_weight))

    @property
    def teacher(self) -> Any:
        """The frozen teacher."""
        return self.frozen_teacher

    def check_batch(self, inputs: list[Tensor]) -> None:
        """Raises a ValueError where there is no view or the batch does not divide the queue; loads the teacher."""
        super().check_batch(inputs)
        self.frozen_teacher.init_weights()
        if self.training:
            check_queue(self.queue_len, len(inputs[0]))

    def clean_terms(self, clean: int) -> list[Term]:
        """Each view against the teacher's feature of it, averaged over the views."""
        return [Term(EmbeddingId(n), EmbeddingId(n), weight=1 / clean) for n in range(clean)]

    def mixture_terms(self, mixtures: Sequence[MixedView], clean: int) -> list[AnyTerm]:
        """The mix head's comparisons; refused where it finds nothing to compare a mixture with."""
        terms = super().mixture_terms(mixtures, clean)
        if not terms:
            raise ValueError(
                f"{type(self.mix_head).__name__} compares mixtures with other views, and the pipeline gives {clean}: "
                "choose mixssl.DistillHead, UnMixHead(pairing='own'), or raise num_views of MultiView"
            )
        return terms

    def encode_online(self, views: list[View]) -> dict[EmbeddingId, Tensor]:
        """Features of whole images, normalised, (M, D), and of their places where those are compared."""
        found = self.embed(views, self.backbone, self.neck)
        for eid in found:
            if eid.region == IMAGE:
                found[eid] = F.normalize(found[eid].float(), dim=1)
        return found

    @torch.no_grad()
    def encode_target(
        self, views: list[View], online: dict[EmbeddingId, Tensor]
    ) -> dict[EmbeddingId, Tensor]:
        """The teacher's features, of this device's images and, to be compared with, of all devices'."""
        device = self.queue.device
        with self.frozen_teacher.precision(device):
            found = super().encode_target(views, online)
        for eid in [eid for eid in found if eid.region == IMAGE]:
            if found[eid].shape[1] != len(self.queue):
                raise ValueError(
                    f"the teacher's features have {found[eid].shape[1]} numbers and out_channels of the neck is "
                    f"{len(self.queue)}: set model.neck.out_channels={found[eid].shape[1]}"
                )
            found[eid] = F.normalize(found[eid].float(), dim=1)
            found[eid._replace(region=_ALL)] = torch.cat(all_gather(found[eid]), dim=0)
        return found

    def compare(
        self, online: Tensor, targets: dict[EmbeddingId, Tensor], terms: list[Term]
    ) -> list[Tensor]:
        """Divergences, (M,); similarities with the queue are computed once for each embedding."""
        if terms[0].online.region == _PLACES:
            places = targets[terms[0].online]  # compared with themselves
            return [token_divergence(places, online, self.temperature) for _ in terms]
        newest = self._newest(targets)
        mine = self._logits(online, newest)
        known: dict[EmbeddingId, Tensor] = {}
        losses = []
        for term in terms:
            if isinstance(term.target, Blend):
                blended = F.normalize(term.target.of(targets), dim=1)
                theirs = self._logits(blended, newest)
            else:
                if term.target not in known:
                    known[term.target] = self._logits(targets[term.target], newest)
                theirs = known[term.target]
            rows = divergence(theirs if term.rows is None else theirs[term.rows], mine)
            losses.append(rows * self.global_weight)
        return losses

    def _newest(self, targets: dict[EmbeddingId, Tensor]) -> Tensor:
        """The step's teacher features of whole images, of all devices, no more than the queue holds, (B, D)."""
        found = [targets[eid] for eid in sorted(targets) if eid.region == _ALL]
        return torch.cat(found)[: self.queue_len]

    def _logits(self, features: Tensor, newest: Tensor) -> Tensor:
        """Similarities, over the temperature, with the queue as it is once the newest are in it, (M, K)."""
        with torch.autocast(features.device.type, enabled=False):
            features = features.float() / self.temperature
            places = torch.arange(self.queue_len, device=features.device)
            columns = (self.queue_ptr + places[: len(newest)]) % self.queue_len
            logits = (features @ self.queue).index_copy(1, columns, features @ newest.t())
            held = (places < self.queue_filled).index_fill(0, columns, True)
            return logits.masked_fill(~held, _EMPTY)

    def candidate_logits(
        self, online: Tensor, target: Tensor, temperature: float | None
    ) -> list[Tensor]:
        """Logits of this device's targets, and of what the queue holds."""
        with torch.autocast(online.device.type, enabled=False):
            query = online.float() / (temperature or self.temperature)
            places = torch.arange(self.queue_len, device=query.device)
            older = (query @ self.queue).masked_fill(places >= self.queue_filled, _EMPTY)
            return [query @ target.float().t(), older]

    def soft_loss(self, online: Tensor, target: Tensor, term: SoftTerm) -> Tensor:
        """As the others, under the weight of whole images."""
        return self.global_weight * super().soft_loss(online, target, term)

    @torch.no_grad()
    def stage(self, targets: dict[EmbeddingId, Tensor]) -> None:
        """Stages the step's teacher features."""
        newest = self._newest(targets)
        self._staged.put(newest, len(newest), limit=self.queue_len)

    def enqueue_staged(self) -> None:
        """Writes what was staged over the oldest of the queue."""
        while self._staged:
            features = self._staged.popleft()
            enqueue(self.queue, self.queue_ptr, features)
            self.queue_filled.add_(len(features)).clamp_(max=self.queue_len)


class _Places(Part):
    """The dense loss: of whatever view is compared with itself, the places too.

    Args:
        method: Gets the layer of the dense loss as its module ``dense_neck``.
        neck: Config of it, the same as of the neck.
        weight: Of the dense loss, > 0.
    """

    def __init__(self, method: MixDistill, neck: dict, weight: float) -> None:
        method.dense_neck = MODELS.build(neck)
        if not hasattr(method.dense_neck, "places"):
            raise ConfigError(
                f"dense_weight of MixDistill is {weight} and {type(method.dense_neck).__name__} has no features of "
                "places: choose mixssl.DistillNeck as neck, or dense_weight=0"
            )
        head = None if method.mixer is None else method.mix_head
        if head is not None and not head.clean_weight and not head.targets_mixtures:
            raise ConfigError(
                f"dense_weight of MixDistill is {weight} and {type(head).__name__} leaves nothing that student and "
                "teacher both see: choose mixssl.DistillHead, keep_clean=True, or dense_weight=0"
            )
        self.weight = weight

    def adjust_terms(
        self, method: MixtureMethod, step: Step, terms: list[AnyTerm]
    ) -> list[AnyTerm]:
        """Adds a term of places for each that compares a view with itself."""
        added: list[AnyTerm] = []
        for term in terms:
            if isinstance(term, Term) and term.online == term.target and term.rows is None:
                places = EmbeddingId(term.online.view, _PLACES)
                weight = term.weight * self.weight
                added.append(Term(places, places, weight=weight, name="loss_dense"))
                step.target_ids.append(places)
        return [*terms, *added]

    def embed(
        self, method: MixtureMethod, view: View, maps: Any, online: bool
    ) -> dict[EmbeddingId, Tensor]:
        """Features of places: of the student in the teacher's width, of the teacher as they are."""
        if _PLACES not in view.regions:
            return {}
        size = (view.images.shape[-2], view.images.shape[-1])
        teacher: Any = method.teacher
        places = (
            method.dense_neck.places(maps, size)
            if online
            else feature_map(maps, teacher.module[1].extra, size)
        )
        return {EmbeddingId(view.number, _PLACES): places}
