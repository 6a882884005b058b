"""The training step that every method shares: what is encoded when, and what is compared with what."""

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from mmengine.model import BaseAveragedModel
from torch import Tensor, nn
from torch.nn import functional as F

from mixssl.mixing import DeferredMixture, Mixer
from mixssl.models.backbone_hooks import frozen, mixed_hidden
from mixssl.models.encoder_options import EncoderOptions
from mixssl.models.heads import MixHead
from mixssl.models.losses import soft_info_nce, two_way_cross_entropy
from mixssl.models.methods import checks
from mixssl.models.momentum import FollowsOptimizer, fused
from mixssl.models.parts import Cells, Clusters, LearnedMasks, Part
from mixssl.registry import MODELS
from mixssl.structures import (
    IMAGE,
    AnyTerm,
    EmbeddingId,
    MixedView,
    Pair,
    SoftTerm,
    Step,
    Term,
    TwoWayTerm,
    View,
    select,
)

if TYPE_CHECKING:
    from mmpretrain.models import BaseSelfSupervisor as _Algorithm
else:
    _Algorithm = object


class MixtureMethod(FollowsOptimizer, EncoderOptions, _Algorithm):
    """Mixin that lets an mmpretrain algorithm learn from mixtures; put it before the algorithm among the bases.

    :meth:`loss` is the step; a method fills in what it does its own way, three to eight of the steps below. The terms
    of the clean views and those of the mix head name embeddings, and each embedding named is computed exactly once.
    Without a mixer the order and the arithmetic are the parent's, bit by bit.

    The momentum encoder and every bank move once per optimizer step, also under gradient accumulation, where the
    parent moves them once per forward pass.

    Attributes:
        capabilities: What mixtures may ask of the method: ``"rows"``, its loss is a mean over rows, so that each may
            have its own λ; ``"candidates"``, it tells an embedding apart from others, so that soft targets make sense;
            ``"regions"``, it can pool embeddings over regions; ``"cells"``, it embeds regions of the last map by its
            own neck; ``"blends"``, it can compare with a mean of embeddings.
        mixture_arguments: Arguments of the class's own constructor that are read only where there is a mixer: they go
            with the mixture when it is switched off.
        targets_are_online: Whether targets come from the online encoder too: then whatever is named only as a target is
            encoded online as well, and ``encode_target`` is called last, with all online embeddings at hand.
        targets_show_maps: Whether ``encode_target`` passes its views one by one, in their order and on this device,
            through the teacher's backbone, so that maps can be read off there.
        fewest_views: How many views a step takes at least.
        clusterable: Whether what ``encode_online`` gives for a view is an embedding, (N, D).
        parts: What the recipe adds beyond views and terms: learned masks, clusters. Empty for most.

    Args:
        mix_head: Config of a mix head; read only where the data preprocessor has a mixer.
        joint_bn: Whether mixtures share the batch of view 0 for batch normalisation, as in MixCo's code; otherwise each
            mixture is a batch of its own, as in Un-Mix's.
        mix_block: Config of what makes a learned mixer's masks; see :class:`~mixssl.models.parts.LearnedMasks`.
        clusters: Config of a memory of clusters, mixssl.ODC; read only where the data preprocessor has a mixer; see
            :class:`~mixssl.models.parts.Clusters`.
        **kwargs: Of :class:`~mixssl.models.encoder_options.EncoderOptions` and of the mmpretrain algorithm.

    Raises:
        TypeError: If the method has no argument of a name.
        ValueError: If there is a mixer and no head, or a head that can't read the mixer's mixtures.
    """

    capabilities: frozenset[str] = frozenset({"rows"})
    mixture_arguments: ClassVar[tuple[str, ...]] = ("mix_head", "joint_bn", "mix_block", "clusters")
    targets_are_online: ClassVar[bool] = False
    targets_show_maps: ClassVar[bool] = False
    fewest_views: ClassVar[int] = 2
    clusterable: ClassVar[bool] = True
    mix_head: MixHead | None
    mix_block: Any  # this and the next four are modules of parts, where there are any
    clusters: Any
    mix_guide: Any
    region_neck: Any
    region_neck_k: Any

    def __init__(
        self,
        *args: Any,
        mix_head: dict | None = None,
        joint_bn: bool = False,
        mix_block: dict | None = None,
        clusters: dict | None = None,
        **kwargs: Any,
    ) -> None:
        checks.check_arguments(type(self), kwargs)
        super().__init__(*args, **kwargs)
        for name, child in list(self.named_children()):
            setattr(self, name, fused(child))
        self.joint_bn = joint_bn
        self.mix_head = MODELS.build(mix_head) if mix_head is not None else None
        self.mix_block = self.clusters = self.mix_guide = None
        self.parts: list[Part] = []
        if clusters is not None and (self.mixer is not None or clusters.get("alone", False)):
            self.parts.append(Clusters(self, clusters))
        checks.check_mixture(self)
        if self.mixer is not None and self.mixer.learned:
            self.parts.append(LearnedMasks(self, mix_block))
        if self.mixer is not None and "cells" in self.mix_head.requirements:  # type: ignore[union-attr]  # is checked
            self.parts.append(Cells())

    @property
    def mixer(self) -> Mixer | None:
        """The data preprocessor's mixer, if it has one."""
        return getattr(self.data_preprocessor, "mixer", None)

    @property
    def teacher(self) -> BaseAveragedModel | None:
        """The momentum encoder of backbone and neck; None for methods without."""
        return self.mix_guide

    def forward(
        self,
        inputs: Tensor | list[Tensor],
        data_samples: list | None = None,
        mode: str = "tensor",
        mixtures: Sequence[MixedView | DeferredMixture] = (),
    ) -> Any:
        """As the parent, and in mode "loss" also with the mixtures of the views in ``inputs``."""
        if mode == "loss":
            return self.loss(inputs, data_samples, mixtures=mixtures)  # type: ignore[arg-type]  # check_batch refuses
        return super().forward(inputs, data_samples, mode)

    def loss(
        self,
        inputs: list[Tensor],
        data_samples: list | None = None,
        mixtures: Sequence[MixedView | DeferredMixture] = (),
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Runs a training step up to the loss.

        Args:
            inputs: Clean views, each (N, C, H, W).
            data_samples: With ``sample_idx`` where the model has clusters; else not read.
            mixtures: Of the clean views, in the order of their numbers.
            **kwargs: Not read; taken because the parent takes them.

        Returns:
            Scalars by name: ``loss_clean`` and what the mix head names.

        Raises:
            ValueError: If the batch does not fit the method.
        """
        self.check_batch(inputs)

        # 1. Terms. Everything that will be compared, of the clean views and of the mixtures, and so everything that
        #    must be encoded.
        step = self.plan(inputs, mixtures, data_samples)

        # 2. Clean views, by the online encoder, as the parent encodes them.
        first = len(inputs)  # number of the first mixture
        clean = select(step.views[:first], step.online_ids)
        joint = select(step.views[first:], step.online_ids) if self.joint_bn and clean else []
        if joint:
            step.online = self.encode_jointly(clean, joint)
        elif clean:
            step.online = self.encode_online(clean)

        # 3. The momentum encoder follows the optimizer's last step. Not earlier: it also copies the running statistics
        #    that the clean views have just left behind, as the parent's does.
        if self.training:
            self.step_momentum()

        # 4. Targets. A part may read what the momentum encoder makes of the clean views, and finish mixtures by it.
        with ExitStack() as stack:
            for part in self.parts:
                stack.enter_context(part.around_targets(self, step))
            if not self.targets_are_online:
                step.targets = self.encode_target(select(step.views, step.target_ids), step.online)

        # 5. Mixtures, each a batch of its own for batch normalisation. A reversed mixture is never encoded: its
        #    embeddings are those of the mixture, reversed.
        for view in [] if joint else select(step.views[first:], step.online_ids):
            hidden = (
                nullcontext() if view.hidden is None else mixed_hidden(self.backbone, view.hidden)
            )
            with hidden:
                step.online |= self.encode_online([view])
        late = set(step.target_ids) - set(step.targets)  # online ones, and learned mixtures
        if late or self.targets_are_online:
            step.targets |= self.encode_target(select(step.views, late), step.online)

        # 6. Comparison. What goes into banks is staged until the optimizer has stepped.
        losses = self.sum_losses(step.terms, step)
        for part in self.parts:
            losses |= part.losses(self, step)
        if self.training:
            self.stage(step.targets)
        return losses

    def plan(
        self,
        inputs: list[Tensor],
        mixtures: Sequence[MixedView | DeferredMixture] = (),
        data_samples: Sequence[Any] | None = None,
    ) -> Step:
        """What a step compares, and which embeddings that takes; computes none of them."""
        step = Step(inputs, list(mixtures), data_samples)  # type: ignore[arg-type]  # parts finish the deferred ones
        for part in self.parts:
            part.finish_mixtures(self, step)
        terms: list[AnyTerm] = [*self.clean_terms(len(inputs))]
        if step.mixtures and self.mix_head is not None:
            if self.mix_head.clean_weight != 1.0:
                terms = self.mix_head.scaled(terms)
            terms += self.mixture_terms(step.mixtures, len(inputs))
        for term in terms:
            step.target_ids += term.targets
        for part in self.parts:
            terms = part.adjust_terms(self, step, terms)
        step.terms = terms
        for term in terms:
            step.online_ids.append(term.online)
        if self.targets_are_online:
            step.online_ids += step.target_ids
        return step

    def sum_losses(self, terms: Sequence[AnyTerm], step: Step) -> dict[str, Tensor]:
        """Has terms compare themselves, weighs the results and sums them by name.

        Terms of a kind with one online embedding are compared together: a queue's logits are computed once.
        """
        losses: dict[str, Tensor] = {}
        together = attrgetter("order", "online")
        for _, same in groupby(sorted(terms, key=together), key=together):
            group = list(same)
            for term, rows in zip(group, group[0].compare(self, step, group), strict=True):
                if not isinstance(term.weight, Tensor):
                    value = rows.mean() if term.weight == 1.0 else rows.mean() * term.weight
                elif rows.ndim:
                    value = (rows * term.weight).mean()
                else:  # the loss does not decompose over rows, so that all have the same weight
                    value = rows * term.weight[0]
                losses[term.name] = losses[term.name] + value if term.name in losses else value
        return losses

    @torch.no_grad()
    def render_mixtures(
        self, inputs: Sequence[Tensor], mixtures: Sequence[MixedView]
    ) -> list[MixedView]:
        """Renders learned mixtures of clean views to be looked at: no gradient, nothing learned or remembered."""
        step = Step(list(inputs), list(mixtures))
        with frozen(self), ExitStack() as stack:
            for part in self.parts:
                stack.enter_context(part.around_targets(self, step))
        return step.mixtures

    # -- what a method fills in ---------------------------------------------------------------------------------------

    def check_batch(self, inputs: list[Tensor]) -> None:
        """Raises a ValueError where the views can't be trained on; called before anything is computed."""
        if not isinstance(inputs, list) or len(inputs) < self.fewest_views:
            found = f"{len(inputs)} view" if isinstance(inputs, list) else type(inputs).__name__
            raise ValueError(
                f"{type(self).__name__} got {found} and needs a list of at least {self.fewest_views} "
                f"view{'s' * (self.fewest_views > 1)}: use MultiView(num_views={self.fewest_views}) and default_collate"
            )
        if self.training and len(inputs[0]) < 2:
            raise ValueError(
                f"{type(self).__name__} got a batch of {len(inputs[0])} and needs at least 2 images per device: "
                "raise batch_size, or set drop_last=True in train_dataloader"
            )

    @abstractmethod
    def clean_terms(self, clean: int) -> list[Term]:
        """The parent's comparisons of the clean views."""

    def mixture_terms(self, mixtures: Sequence[MixedView], clean: int) -> list[AnyTerm]:
        """The mix head's comparisons; override to leave out or to rescale some, as the parent's loss asks for."""
        assert self.mix_head is not None
        terms: list[AnyTerm] = []
        for asked in self.mix_head.terms(mixtures, clean):
            terms += self.pair_terms(asked) if isinstance(asked, Pair) else [asked]
        return terms

    def pair_terms(self, pair: Pair) -> list[Term]:
        """The method's comparisons of two views that take the place of its clean views 0 and 1."""
        terms = []
        for term in self.clean_terms(2):
            # A method that also predicts view 0 from view 1 does so of a pair.
            seen = pair if term.online.view == 0 else pair.swapped()
            terms.append(
                Term(seen.first, seen.second, seen.rows, seen.weight * term.weight, seen.name)
            )
        return terms

    def encode_online(self, views: list[View]) -> dict[EmbeddingId, Tensor]:
        """Encodes views with gradient: projections, (M, D), each view its own batch for batch normalisation."""
        return self.embed(views, self.backbone, self.neck)

    def embed(
        self, views: list[View], backbone: nn.Module, neck: nn.Module, *, online: bool = True
    ) -> dict[EmbeddingId, Tensor]:
        """Encodes views one by one, (M, D) by id, not normalised, and has parts add the regions that are asked for."""
        embeddings: dict[EmbeddingId, Tensor] = {}
        for view in views:
            maps = backbone(view.images)
            if IMAGE in view.regions:
                embeddings[EmbeddingId(view.number)] = neck(maps)[0]
            for part in self.parts:
                embeddings |= part.embed(self, view, maps, online)
        return embeddings

    def encode_jointly(self, clean: list[View], mixed: list[View]) -> dict[EmbeddingId, Tensor]:
        """Encodes the first clean view and the mixtures as one batch for batch normalisation, then the other views."""
        group = [clean[0], *mixed]
        checks.require_joinable(group)
        images = torch.cat([view.images for view in group])
        whole = self.encode_online([View(clean[0].number, images)])
        sizes = [len(view.images) for view in group]
        online = {
            EmbeddingId(view.number, eid.region): rows
            for eid, value in whole.items()
            for view, rows in zip(group, value.split(sizes), strict=True)
        }
        return online | self.encode_online(clean[1:]) if clean[1:] else online

    def update_momentum(self) -> None:
        """Moves the momentum encoder of backbone and neck, and what parts average beside it."""
        teacher: Any = self.teacher
        if teacher is not None:
            teacher.update_parameters(nn.Sequential(self.backbone, self.neck), self.passes)
        for part in self.parts:
            part.update_momentum(self)

    def encode_target(
        self, views: list[View], online: dict[EmbeddingId, Tensor]
    ) -> dict[EmbeddingId, Tensor]:
        """What online embeddings are compared with: the teacher's embeddings of the views, or the online ones."""
        if not self.targets_are_online:
            teacher: Any = self.teacher
            with torch.no_grad():
                return self.embed(views, *teacher.module, online=False)
        targets = {}
        for view in views:
            for region in view.regions:
                eid = EmbeddingId(view.number, region)
                targets[eid] = online[eid]
        return targets

    def compare(
        self, online: Tensor, targets: dict[EmbeddingId, Tensor], terms: list[Term]
    ) -> list[Tensor]:
        """Compares one online embedding with all that terms compare it with; returns what :meth:`pair_losses` does.

        Override where a row's loss depends on the target's other rows, so that reordering them first would hide them.
        """
        rows = []
        for term in terms:
            known = term.target in targets  # a blend is, where the method makes one its own way
            target = targets[term.target] if known else term.target.of(targets)  # type: ignore[index,union-attr]
            rows.append(target if term.rows is None else target[term.rows])
        return self.pair_losses(online, rows, terms)

    def pair_losses(self, online: Tensor, targets: list[Tensor], terms: list[Term]) -> list[Tensor]:
        """Compares one online embedding with each of several targets, whose rows are in its order.

        Returns:
            A value per term: (M,), a loss per row, or a scalar where the loss does not decompose over rows.
        """
        raise TypeError(f"{type(self).__name__} must define pair_losses, or compare")

    def candidate_logits(
        self, online: Tensor, target: Tensor, temperature: float | None
    ) -> list[Tensor]:
        """Scores an online embedding against everything it could be; only for methods with candidates.

        Args:
            online: (M, D).
            target: This device's targets, (N, D).
            temperature: Softmax temperature; must be positive. None takes the method's own.

        Returns:
            Blocks of logits divided by the temperature, each (M, n_b), float32; the first N columns of the first block
            are this device's targets.
        """
        raise TypeError(f"{type(self).__name__} has no candidates to tell an embedding apart from")

    def soft_loss(self, online: Tensor, target: Tensor, term: SoftTerm) -> Tensor:
        """Soft cross-entropy over the candidates, (M,)."""
        blocks = self.candidate_logits(online, target, term.temperature)
        return soft_info_nce(blocks, term.positives, term.shares, term.log_of_sum)

    def two_way_loss(self, online: Tensor, target: Tensor, term: TwoWayTerm) -> Tensor:
        """Soft cross-entropy between the two images of each row, (M,)."""
        rows = [target[term.index], target[term.partner]]
        own, other = self.two_way_logits(online, rows, term.temperature)
        return two_way_cross_entropy(own, other, term.lam)

    def two_way_logits(
        self, online: Tensor, targets: list[Tensor], temperature: float | None
    ) -> list[Tensor]:
        """Cosines (M,) of each row with that of each target (M, D), over the temperature, in fp32.

        The temperature is by default the head's, or 0.2, AMix's, where it has none.
        """
        default: float = getattr(self.head, "temperature", 0.2)
        temperature = temperature or default
        with torch.autocast(online.device.type, enabled=False):
            unit = F.normalize(self.predict(online).float(), dim=1)
            return [
                (unit * F.normalize(target.float(), dim=1)).sum(1) / temperature
                for target in targets
            ]

    def predict(self, online: Tensor) -> Tensor:
        """What is compared with targets, in their space: the embedding itself, or what a predictor makes of it."""
        return online

    def stage(self, targets: dict[EmbeddingId, Tensor]) -> None:
        """Sets aside what goes into banks at the next optimizer step. Nothing to do for methods without."""

    def enqueue_staged(self) -> None:
        """Writes what was staged into the banks; the only place where they are written."""

    def after_optimizer_step(self) -> None:
        """Called by itself after each step of the optimizer; call it by hand only where no torch optimizer runs."""
        self.enqueue_staged()
        for part in self.parts:
            part.after_optimizer_step()
        super().after_optimizer_step()
