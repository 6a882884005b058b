"""DINO: a student predicts what a momentum teacher makes of other crops, without negatives."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.model import BaseAveragedModel
from mmpretrain.models import BaseSelfSupervisor
from torch import Tensor, nn
from torch.nn import functional as F

from mixssl.models.heads.base import epochs_done
from mixssl.models.losses import swapped_prediction
from mixssl.models.memory import Staged
from mixssl.models.methods.base import MixtureMethod
from mixssl.models.momentum import FusedCosineEMA
from mixssl.models.necks import DINONeck
from mixssl.registry import MODELS
from mixssl.structures import AnyTerm, EmbeddingId, MixedView, Term, View
from mixssl.utils.errors import require

_MEAN = "mean"
"""Region under which the mean of the teacher's scores travels to the centre."""
_GLOBAL_VIEWS = 2
_MICRO_BATCHES = 1024
"""Of an optimizer step, at most: where nothing steps, what is staged must not grow for ever."""


class _DINO(BaseSelfSupervisor):
    """Networks and numbers of DINO; :class:`MixDINO` documents the arguments."""

    center: Tensor

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        warmup_teacher_temperature: float = 0.04,
        warmup_teacher_epochs: int = 0,
        center_momentum: float = 0.9,
        base_momentum: float = 0.004,
        end_momentum: float = 0.0,
        freeze_last_layer: float = 1.0,
        **kwargs: Any,
    ) -> None:
        require(
            "> 0",
            self,
            student_temperature=student_temperature,
            teacher_temperature=teacher_temperature,
            warmup_teacher_temperature=warmup_teacher_temperature,
        )
        require("[0, 1)", self, "0.9 is usual", center_momentum=center_momentum)
        super().__init__(backbone=backbone, neck=neck, **kwargs)
        if not isinstance(self.neck, DINONeck):
            raise ValueError(
                f"neck of MixDINO is a {type(self.neck).__name__} and must be a mixssl.DINONeck, which has prototypes"
            )
        self.student_temperature = student_temperature
        rising = torch.linspace(
            warmup_teacher_temperature, teacher_temperature, warmup_teacher_epochs
        )
        self.temperatures = [*rising.tolist(), teacher_temperature]
        self.center_momentum = center_momentum
        self.freeze_last_layer = freeze_last_layer
        self.register_buffer("center", torch.zeros(1, self.neck.prototypes.shape[0]))
        self.teacher_encoder = FusedCosineEMA(
            nn.Sequential(self.backbone, self.neck), base_momentum, end_momentum
        )
        for module in self.teacher_encoder.modules():
            if type(module).__name__ == "DropPath":
                module.drop_prob = 0.0


@MODELS.register_module()
class MixDINO(MixtureMethod, _DINO):
    r"""DINO with mixtures (Caron et al. 2021); mmpretrain has it as a project whose teacher never moves.

    The teacher sees views 0 and 1, the student all views, those of one size as one batch. With t the teacher's scores,
    s the student's and c the centre, the clean loss is the mean over pairs of different views of

    .. math:: H(\mathrm{softmax}((t - c) / \tau_t), \mathrm{softmax}(s / \tau_s))

    The centre is a moving average of the teacher's scores of both views on all devices. It moves once per optimizer
    step, after it, as does the teacher.

    A mixture predicts what the teacher makes of each of its images in the other global view, weighed by their shares;
    the loss is linear in the target, so that is the same as predicting one blended target. Local crops are no targets.
    No published code has mixtures on DINO.

    Differences to the authors' code: the teacher encodes its two views one by one, which matters where it has batch
    normalisation; prototypes held still get a gradient of zeros and not none, which an optimizer with weight decay
    turns into a change of their length, of no effect while ``norm_last_layer`` is True.

    Args:
        backbone: Config of the backbone: a ViT with ``out_type="cls_token"``, or a ResNet. Its drop path is the
            student's alone.
        neck: Config of the head, like mixssl.DINONeck.
        student_temperature: τ_s, > 0.
        teacher_temperature: τ_t, > 0; less sharpens more.
        warmup_teacher_temperature: τ_t in the first epoch, > 0.
        warmup_teacher_epochs: Epochs until τ_t is reached, in equal steps, >= 0.
        center_momentum: How much of the centre stays in a step, in [0, 1).
        base_momentum: Weight of the new value in the teacher at the start, 0.004 for a momentum of 0.996.
        end_momentum: The same at the end of a cosine.
        freeze_last_layer: Epochs in which the prototypes are held still, >= 0.
        **kwargs: ``mix_head``, ``joint_bn``, ``data_preprocessor``, ``pretrained``, ``init_cfg``.

    Raises:
        ValueError: If an argument lies outside its range; in training, if the length of the run is unknown.
    """

    capabilities = frozenset({"rows"})
    clusterable = False
    targets_show_maps = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._staged: Staged[Tensor] = Staged()

    @property
    def teacher(self) -> BaseAveragedModel:
        """The momentum encoder of backbone and neck."""
        return self.teacher_encoder

    @property
    def teacher_temperature(self) -> float:
        """τ_t in this epoch."""
        done = int(epochs_done() or 0)
        return self.temperatures[min(done, len(self.temperatures) - 1)]

    def check_batch(self, inputs: list[Tensor]) -> None:
        """Raises a ValueError where the two global views differ in size, or a batch is too small."""
        super().check_batch(inputs)
        sizes = [tuple(view.shape[-2:]) for view in inputs]
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"views 0 and 1 of MixDINO have {sizes[0]} and {sizes[1]} pixels and must be of one size: the global "
                "crops come first in num_views of MultiView"
            )

    def clean_terms(self, clean: int) -> list[Term]:
        """Every view predicts either global view but itself, averaged."""
        pairs = [(a, b) for a in range(_GLOBAL_VIEWS) for b in range(clean) if a != b]
        return [
            Term(EmbeddingId(view), EmbeddingId(target), weight=1 / len(pairs))
            for target, view in pairs
        ]

    def mixture_terms(self, mixtures: Sequence[MixedView], clean: int) -> list[AnyTerm]:
        """The mix head's comparisons, without those with local crops."""
        found: list[Any] = super().mixture_terms(mixtures, clean)
        return [term for term in found if not _GLOBAL_VIEWS <= term.target.view < clean]

    def encode_online(self, views: list[View]) -> dict[EmbeddingId, Tensor]:
        """Scores, (M, K); neighbouring views of one size are one batch in the backbone, all views one in the neck."""
        done = epochs_done()
        self.neck.hold_prototypes = done is not None and done < self.freeze_last_layer
        maps = [
            self.backbone(torch.cat([view.images for view in same]))[-1]
            for _, same in groupby(views, key=lambda view: view.images.shape[-2:])
        ]
        pooled = [part.mean(dim=(2, 3)) if part.ndim == 4 else part for part in maps]
        scores = self.neck((torch.cat(pooled),))[0].split([len(view.images) for view in views])
        return {EmbeddingId(view.number): rows for view, rows in zip(views, scores, strict=True)}

    @torch.no_grad()
    def encode_target(
        self, views: list[View], online: dict[EmbeddingId, Tensor]
    ) -> dict[EmbeddingId, Tensor]:
        """What the teacher assigns views to, (M, K), float32, and the mean of its scores of clean views, (1, K)."""
        targets = {}
        for eid, scores in super().encode_target(views, online).items():
            logits = (scores.float() - self.center) / self.teacher_temperature
            targets[eid] = logits.softmax(dim=1)
            if eid.view < _GLOBAL_VIEWS:
                targets[EmbeddingId(eid.view, _MEAN)] = scores.float().mean(dim=0, keepdim=True)
        return targets

    def pair_losses(self, online: Tensor, targets: list[Tensor], terms: list[Term]) -> list[Tensor]:
        """Cross-entropy of the student's prediction with the teacher's assignments, per row."""
        prediction = F.log_softmax(online.float() / self.student_temperature, dim=1)
        return [swapped_prediction(prediction, target) for target in targets]

    def two_way_logits(
        self, online: Tensor, targets: list[Tensor], temperature: float | None
    ) -> list[Tensor]:
        """Log-likelihoods of the teacher's assignments under the prediction, (M,) each, as pair_losses compares."""
        scores = online.float() / (temperature or self.student_temperature)
        prediction = F.log_softmax(scores, dim=1)
        return [-swapped_prediction(prediction, target) for target in targets]

    @torch.no_grad()
    def stage(self, targets: dict[EmbeddingId, Tensor]) -> None:
        """Stages the mean of the teacher's scores of both views, for the centre."""
        means = [value for eid, value in targets.items() if eid.region == _MEAN]
        if means:
            self._staged.put(torch.stack(means).mean(dim=0), rows=1, limit=_MICRO_BATCHES)

    @torch.no_grad()
    def enqueue_staged(self) -> None:
        """Moves the centre towards the mean over all devices and micro-batches."""
        if not self._staged:
            return
        mean = torch.stack(list(self._staged)).mean(dim=0)
        self._staged.clear()
        all_reduce(mean, op="mean")
        self.center.lerp_(mean, 1 - self.center_momentum)
